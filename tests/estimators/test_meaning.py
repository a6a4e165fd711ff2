"""What the estimators find: planted networks, honest choices, probabilities, offsets, scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from mlpiht_cli import SparseReLUClassifier, SparseReLURegressor
from mlpiht_cli.core.crossval import cross_validate
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.estimators import search

Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]


@pytest.fixture(scope="module")
def planted() -> Arrays:
    """A network of two neurons on three of eight inputs, in raw units far from the standardised ones."""
    z = np.random.RandomState(0).normal(size=(400, 8))
    y = np.maximum(2.0 * z[:, 1] - z[:, 4], 0.0) - np.maximum(1.5 * z[:, 6], 0.0)
    return z * 10.0 ** np.arange(-3, 5) + 7.0, 100.0 + 50.0 * y


def test_a_planted_network_is_found_with_its_inputs(planted: Arrays) -> None:
    x, y = planted
    # 3 weights, 2 offsets of hinges and 1 of the output, since inputs and target are centred; the rest is room.
    fitted = SparseReLURegressor(m=4, s=9, method="iht_realloc", starts=3).fit(x[:300], y[:300])
    assert np.flatnonzero(fitted.support_).tolist() == [1, 4, 6]
    assert fitted.score(x[300:], y[300:]) > 0.99999
    assert fitted.model_.nnz <= fitted.s_ == 9


def test_the_prediction_is_the_network_of_scaled_inputs(planted: Arrays) -> None:
    x, y = planted
    fitted = SparseReLURegressor(m=4, s=9, starts=1).fit(x, y)
    z = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
    layer, signs = fitted.model_.layers[0].dense().numpy(), fitted.model_.readout.numpy()
    expected = y.mean() + y.std() * (np.maximum(z @ layer.T, 0.0) @ signs)
    np.testing.assert_allclose(fitted.predict(x), expected, rtol=1e-10)
    error = np.mean((expected - y) ** 2) / y.var()
    assert fitted.loss_ == pytest.approx(error)
    assert fitted.predict(x).dtype == np.float64


def test_units_of_inputs_and_target_do_not_matter(planted: Arrays) -> None:
    x, y = planted
    one = SparseReLURegressor(m=4, s=9, starts=2).fit(x, y)
    other = SparseReLURegressor(m=4, s=9, starts=2).fit(x * 4.0 - 3.0, y / 8.0)
    np.testing.assert_allclose(other.predict(x * 4.0 - 3.0) * 8.0, one.predict(x), rtol=1e-3)


def test_without_intercept_the_function_passes_the_origin_and_is_homogeneous(planted: Arrays) -> None:
    x, y = planted
    fitted = SparseReLURegressor(m=4, s=9, starts=1, fit_intercept=False).fit(x, y)
    assert fitted.model_.inputs == x.shape[1]
    assert fitted.predict(np.zeros((1, 8))) == [0.0]
    np.testing.assert_allclose(fitted.predict(3.0 * x), 3.0 * fitted.predict(x))


def test_a_constant_target_is_predicted() -> None:
    x = np.random.RandomState(0).normal(size=(30, 3))
    np.testing.assert_allclose(SparseReLURegressor(m=2, s=2).fit(x, np.full(30, 5.0)).predict(x), 5.0)


def test_a_line_may_be_chosen_and_the_choice_is_told() -> None:
    x = np.random.RandomState(1).normal(size=(150, 6))
    y = x[:, 0] - 2.0 * x[:, 3] + 0.1 * np.random.RandomState(2).normal(size=150)
    fitted = SparseReLURegressor(starts=1, cv=2).fit(x, y)
    assert (fitted.method_, fitted.m_, fitted.s_) == ("iht_linear", 1, 2)
    assert fitted.support_.tolist() == [True, False, False, True, False, False]
    table = fitted.cv_results_
    assert {len(column) for column in table.values()} == {len(table["s"])}
    assert {"iht_linear", "iht"} == set(table["method"])
    chosen = (table["method"] == "iht_linear") & (table["s"] == 2)
    assert table["mean_error"][chosen] < 0.05
    assert table["mean_score"][chosen] > 0.95
    assert table["mean_error"][table["s"] == 1].min() > 0.1


def test_a_hinge_is_not_taken_for_a_line() -> None:
    x = np.random.RandomState(1).normal(size=(150, 4))
    fitted = SparseReLURegressor(s=5, cv=2).fit(x, np.abs(x[:, 2]))
    assert fitted.method_ == "iht"
    assert set(fitted.cv_results_["method"]) == {"iht", "iht_linear"}
    assert fitted.score(x, np.abs(x[:, 2])) > 0.99


def test_only_what_is_missing_is_chosen() -> None:
    x, y = load_iris(return_X_y=True)
    fitted = SparseReLUClassifier(m=3, starts=1, cv=2).fit(x, y)
    assert set(fitted.cv_results_["m"]) == {3}
    assert set(fitted.cv_results_["method"]) == {"iht_vector"}, "a given width asks for a network"
    fitted = SparseReLUClassifier(s=4, method="iht_logistic").fit(x, y)
    assert (fitted.method_, fitted.s_, len(fitted.cv_results_["s"])) == ("iht_logistic", 4, 0)


@pytest.mark.parametrize("leak", [False, True])
def test_test_rows_never_reach_the_choice(leak: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice sees the training rows alone; a fit that is handed test rows as well goes red."""
    x, y = load_breast_cancer(return_X_y=True)
    a, b, c, _ = train_test_split(x, y, random_state=0)
    a, c, b = a[:60], c[:60], b[:60]
    seen: list[Problem] = []

    def spy(problem: Problem, *rest: Any, **more: Any) -> Any:
        seen.append(problem)
        return cross_validate(problem, *rest, **more)

    monkeypatch.setattr(search, "cross_validate", spy)
    rows = (np.vstack([a, b[:1]]), np.append(c, 1)) if leak else (a, c)
    fitted = SparseReLUClassifier(m=2, starts=1, cv=2).fit(*rows)
    (problem,) = seen
    expected = torch.from_numpy(np.column_stack([(a - a.mean(0)) / a.std(0), np.ones(len(a))]))
    same = all(part.shape == expected.shape and torch.allclose(part, expected) for part in (problem.x, problem.x_test))
    assert same is not leak, "every number that the choice saw comes from the training rows"
    before = fitted.predict_proba(b)
    fitted.predict(b + 1.0)
    np.testing.assert_array_equal(fitted.predict_proba(b), before, "predictions change nothing either")


def test_three_classes_get_the_softmax_of_the_outputs() -> None:
    x, y = load_iris(return_X_y=True)
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    fitted = SparseReLUClassifier(m=10, s=20, starts=2).fit(x, words)
    assert fitted.method_ == "iht_vector"
    assert fitted.score(x, words) > 0.93
    logits, proba = fitted.decision_function(x), fitted.predict_proba(x)
    np.testing.assert_allclose(proba, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(proba.sum(1), 1.0)
    truth = -np.mean(np.log(proba[np.arange(150), y]))
    assert fitted.loss_ == pytest.approx(truth)
    assert (fitted.classes_[proba.argmax(1)] == fitted.predict(x)).all()


def test_probabilities_of_two_classes_are_calibrated_on_the_training_outputs() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    a, b, c, d = train_test_split(x, y, random_state=0, stratify=y)
    fitted = SparseReLUClassifier(m=4, s=10, starts=2).fit(a, c)
    scores, proba = fitted.decision_function(b), fitted.predict_proba(b)
    np.testing.assert_allclose(np.log(proba[:, 1] / proba[:, 0]), fitted.slope_ * scores, atol=1e-6)
    assert ((proba[:, 1] > 0.5) == (scores > 0.0)).all()
    # Independent: every row counts for both classes, weighed by Platt's targets.
    target = np.where(c == 1, (c.sum() + 1) / (c.sum() + 2), 1 / ((1 - c).sum() + 2))
    twice, weights = np.tile(fitted.decision_function(a), 2)[:, None], np.append(target, 1 - target)
    plain = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-9)
    slope = plain.fit(twice, np.repeat([1, 0], len(a)), weights).coef_[0, 0]
    assert fitted.slope_ == pytest.approx(slope, rel=1e-3)
    assert abs(proba[:, 1].mean() - d.mean()) < 0.05


@pytest.mark.parametrize("method", ["iht_vector", "iht_logistic", "iht_linear", "iht_realloc"])
def test_two_classes_by_every_method(method: str) -> None:
    x, y = load_iris(return_X_y=True)
    x, y = x[y > 0], y[y > 0]
    fitted = SparseReLUClassifier(m=3, s=5, method=method).fit(x, y)
    assert fitted.score(x, y) > 0.9
    assert fitted.decision_function(x).shape == (100,)
    assert (fitted.classes_[fitted.predict_proba(x).argmax(1)] == fitted.predict(x)).all()


def test_what_does_not_fit_together_is_refused() -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="'iht' is for two classes, the target has 3; use 'iht_vector'"):
        SparseReLUClassifier(method="iht").fit(x, y)
    with pytest.raises(ValueError, match="one class"):
        SparseReLUClassifier().fit(x, np.zeros(150))


def test_random_states_are_seeds() -> None:
    x, y = load_iris(return_X_y=True)

    def found(state: Any) -> Any:
        return SparseReLUClassifier(m=3, s=6, starts=1, random_state=state).fit(x, y).predict_proba(x)

    np.testing.assert_array_equal(found(1), found(1))
    assert (found(1) != found(2)).any()
    np.testing.assert_array_equal(found(np.random.RandomState(5)), found(np.random.RandomState(5)))
    before = np.random.get_state(legacy=False)
    found(None)
    assert str(np.random.get_state(legacy=False)) != str(before), "None draws from NumPy's global state"
    np.random.set_state(before)
