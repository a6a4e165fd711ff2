"""What an estimator cannot take: the message names the row or the value in plain words, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli import SparseReLUClassifier, SparseReLURegressor
from tests.library_words import foreign

X = np.random.RandomState(0).normal(size=(12, 3))
NUMBERS = [float(i) for i in range(12)]
WORDS = ["a", "b"] * 6
KINDS = [(SparseReLURegressor, NUMBERS), (SparseReLUClassifier, WORDS), (SparseReLUClassifier, [0, 1] * 6)]


def without(values: list[Any], rows: tuple[int, ...]) -> list[Any]:
    return [None if i in rows else value for i, value in enumerate(values)]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=["numbers", "words", "codes"])
@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        lambda values: np.array(values, dtype=object),
        lambda values: np.array(values, dtype=object)[:, None],
        lambda values: pd.Series(values, index=range(50, 62)),
        lambda values: pd.Series(values, dtype=object),
        lambda values: pd.Series(values).convert_dtypes(),
        lambda values: pd.Series(values, dtype="category"),
        lambda values: pd.DataFrame({"target": values}),
    ],
    ids=["list", "tuple", "objects", "matrix", "series", "object series", "nullable", "category", "frame"],
)
def test_a_missing_target_is_named_by_its_row(kind: Any, values: list[Any], form: Callable[[list[Any]], Any]) -> None:
    with pytest.raises(
        ValueError, match=r"^y has no value in row 4 \(counted from 0\): it is (None|nan|<NA>); "
    ) as told:
        kind(m=2, s=2, starts=1).fit(X, form(without(values, (4, 7))))
    assert str(told.value).endswith(
        "; rows without a value: 2 of 12; leave them out of X and y, or fill in their values"
    )


def test_the_missing_value_is_shown_as_it_was_given() -> None:
    for missing in (None, float("nan"), pd.NA, pd.NaT):
        y: list[Any] = [*NUMBERS[:11], missing]
        with pytest.raises(ValueError, match=f"in row 11 .* it is {re.escape(str(missing))};"):
            SparseReLURegressor().fit(X, y)


def test_targets_without_gaps_are_taken_in_every_form() -> None:
    fitted = SparseReLUClassifier(m=2, s=2, starts=1)
    plain = fitted.fit(X, WORDS).predict(X)
    for y in (tuple(WORDS), np.array(WORDS, dtype=object), pd.Series(WORDS), pd.Series(WORDS, dtype="category")):
        np.testing.assert_array_equal(fitted.fit(X, y).predict(X), plain)


LETTERS = np.array([["1", "2", "x"]] * 12)


@pytest.mark.parametrize("letters", [LETTERS, LETTERS.astype(object), pd.DataFrame(LETTERS), LETTERS.tolist()])
def test_the_first_word_among_numbers_is_named(letters: Any) -> None:
    told = r"^X has no number in row 0, column 2 \(counted from 0\): it is 'x'; turn words into numbers"
    for kind, y in ((SparseReLURegressor, NUMBERS), (SparseReLUClassifier, WORDS)):
        with pytest.raises(ValueError, match=told):
            kind(m=2, s=2).fit(letters, y)
        with pytest.raises(ValueError, match=told):
            kind(m=2, s=2, starts=1).fit(X, y).predict(letters)


@pytest.mark.parametrize("form", [list, np.array, lambda y: np.array(y, dtype=object), pd.Series])
def test_a_target_of_words_is_for_the_classifier(form: Callable[[list[str]], Any]) -> None:
    with pytest.raises(ValueError, match=r"^y has no number in row 11 .* it is 'x'; SparseReLUClassifier fits labels$"):
        SparseReLURegressor().fit(X, form(["1.5"] * 11 + ["x"]))


@pytest.mark.parametrize(
    ("label", "shown"),
    [(np.float64(1.0), "1.0"), (np.int64(3), "3"), (np.str_("a"), "a"), (np.bool_(True), "True"), ("a", "a"), (3, "3")],
    ids=["float", "int", "text", "bool", "own text", "own int"],
)
def test_a_label_is_shown_as_the_user_writes_it(label: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"^the target has one class \({re.escape(shown)}\); "):
        SparseReLUClassifier().fit(X, [label] * 12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"m": np.float64(2.5)}, "m=2.5: it must be a whole number"),
        ({"m": np.arange(3)}, "m=array([0, 1, 2]): it must be a whole number"),
        ({"s": np.int64(0)}, "s=0: it must be a whole number"),
        ({"s": [np.int64(2)]}, "s=[2]: it must be a whole number"),
        ({"cv": np.int64(1)}, "cv=1: it must be a whole number"),
        ({"starts": np.float64(2)}, "starts=2.0: it must be a whole number"),
        ({"method": np.str_("ith")}, "method='ith' is unknown, did you mean 'iht'?"),
        ({"method": np.arange(3)}, "method=array([0, 1, 2]) is unknown"),
        ({"random_state": np.int64(-1)}, "random_state=-1: it must be a whole number"),
        ({"random_state": np.float64(1)}, "random_state=1.0: it must be a whole number, None or a numpy.random"),
        ({"standardise": np.str_("no")}, "standardise='no': it must be True or False"),
        ({"fit_intercept": np.int64(1)}, "fit_intercept=1: it must be True or False"),
    ],
)
def test_parameters_are_shown_as_numbers_and_words(settings: dict[str, Any], message: str) -> None:
    for kind, y in ((SparseReLURegressor, NUMBERS), (SparseReLUClassifier, WORDS)):
        with pytest.raises(ValueError, match=re.escape(message)) as told:
            kind(**settings).fit(X, y)
        assert foreign(str(told.value)) is None


def test_flags_of_numpy_are_taken() -> None:
    fitted = SparseReLURegressor(m=2, s=2, starts=1, standardise=np.bool_(False), fit_intercept=np.bool_(True))
    assert np.isfinite(fitted.fit(X, NUMBERS).predict(X)).all()
