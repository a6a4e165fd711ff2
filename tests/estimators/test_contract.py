"""scikit-learn's own checks of an estimator, none skipped; and the tools that estimators are made for."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris, make_classification
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from mlpiht_cli import SparseReLUClassifier, SparseReLURegressor

KINDS = (SparseReLURegressor, SparseReLUClassifier)
IN_OWN_PROCESS = "check_array_api_input"
"""scikit-learn skips this check unless a variable is set before SciPy is imported."""
DRAWS = "check_methods_sample_order_invariance"
"""This check itself draws from NumPy's global state, which no test may change."""
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def name_of(check: Any) -> str:
    return str(getattr(check, "func", check).__name__)


def run_check(estimator: BaseEstimator, check: Any) -> None:
    if name_of(check) != IN_OWN_PROCESS:
        before = np.random.get_state(legacy=False)
        check(estimator)
        if name_of(check) == DRAWS:
            np.random.set_state(before)
        return
    own = {**os.environ, "SCIPY_ARRAY_API": "1"}
    code = "import pickle, sys; check, estimator = pickle.load(sys.stdin.buffer); check(estimator); print('passed')"
    given = pickle.dumps((check, estimator))
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, env=own)
    assert done.stdout == b"passed\n", done.stderr.decode()


@parametrize_with_checks([kind(m=6, s=16, starts=1) for kind in KINDS])
def test_checks_of_scikit_learn(estimator: BaseEstimator, check: Any) -> None:
    run_check(estimator, check)


@pytest.mark.slow
@parametrize_with_checks([kind() for kind in KINDS])
def test_checks_of_scikit_learn_with_defaults(estimator: BaseEstimator, check: Any) -> None:
    run_check(estimator, check)


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return make_classification(120, 6, n_informative=3, random_state=0)


@every_kind
def test_clone_and_pickle_keep_everything(kind: Any, data: Any) -> None:
    fitted = kind(m=4, s=8, starts=2, random_state=3).fit(*data)
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(AttributeError):
        check_is_fitted(again, "model_")
    np.testing.assert_array_equal(again.fit(*data).predict(data[0]), fitted.predict(data[0]))
    read = pickle.load(io.BytesIO(pickle.dumps(fitted)))
    np.testing.assert_array_equal(read.predict(data[0]), fitted.predict(data[0]))


@every_kind
def test_it_works_in_pipelines_and_searches(kind: Any, data: Any) -> None:
    steps = make_pipeline(PolynomialFeatures(2, include_bias=False), kind(m=4, s=6, starts=1))
    assert np.isfinite(cross_val_score(steps, *data, cv=3)).all()
    search = GridSearchCV(kind(m=4, starts=1), {"s": [1, 8]}, cv=3).fit(*data)
    assert search.best_params_ == {"s": 8}


@every_kind
def test_it_selects_the_inputs_that_it_uses(kind: Any) -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    select = SelectFromModel(kind(m=2, s=2, starts=1), importance_getter="support_").fit(x, y == 2)
    kept, fitted = select.set_output(transform="pandas").transform(x), select.estimator_
    assert isinstance(kept, pd.DataFrame)
    assert list(kept) == list(x.columns[fitted.support_])
    assert 1 <= len(list(kept)) <= 2
    moved = x.copy()
    moved.loc[:, ~fitted.support_] = 99.0
    np.testing.assert_array_equal(fitted.predict(moved), fitted.predict(x), "the others have no effect")
    moved = x.copy()
    moved.loc[:, fitted.support_] += 1.0
    assert (fitted.predict(moved) != fitted.predict(x)).any()


@every_kind
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"m": 0}, "m=0: it must be a whole number of 1 or more or 'auto'"),
        ({"s": 2.5}, r"s=2\.5"),
        ({"s": "some"}, "s='some'"),
        ({"m": True}, "m=True"),
        ({"cv": 1}, "cv=1: it must be a whole number of 2 or more$"),
        ({"starts": 0}, "starts=0"),
        ({"method": "iht_lin"}, "did you mean 'iht_linear'"),
        ({"random_state": -1}, "random_state=-1"),
        ({"m": 1, "s": 99}, "s=99 is above the number of weights.*n_features = 6"),
    ],
)
def test_wrong_parameters_are_refused(kind: Any, settings: dict[str, Any], message: str, data: Any) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**settings).fit(*data)
