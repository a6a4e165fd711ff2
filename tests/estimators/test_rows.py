"""Data that an estimator cannot take: the message names the row, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli import SparseReLUClassifier, SparseReLURegressor

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
