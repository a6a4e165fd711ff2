"""Regression or classes, and the split of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from mlpiht_cli.errors import InputError
from mlpiht_cli.tables.kind import split_rows, target_kind

DRAW = np.random.RandomState(0)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (load_iris().target, "classes", "taken as classes; --kind regression takes them as numbers"),
        (load_wine().target + 1, "classes", "taken as classes"),
        (load_digits().target, "classes", "10 values from 0 to 9"),
        (load_iris().target.astype(float), "classes", "taken as classes"),
        (DRAW.randint(1, 6, 200), "classes", "5 values from 1 to 5, which are taken as classes"),
        (load_breast_cancer().target, "classes", ""),
        ([2.5, 7.0] * 9, "classes", "2 values from 2.5 to 7, which are taken as classes"),
        ([True, False] * 9, "classes", ""),
        (["u", "v", "w"] * 9, "classes", ""),
        (["1", "2+"] * 9, "classes", ""),
        (load_diabetes().target, "regression", ""),
        (DRAW.normal(size=99), "regression", ""),
        (DRAW.randint(18, 90, 999), "regression", ""),
        (DRAW.poisson(3.0, 999), "regression", "taken as numbers; --kind classes takes them as classes"),
        (DRAW.randint(3, 9, 999), "regression", "taken as numbers"),
        (np.arange(30) % 5, "regression", "taken as numbers"),
        ([1.5, 2.5, 3.5] * 40, "regression", ""),
    ],
)
def test_kinds(values: Any, kind: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    target = pd.Series(values, name="y")
    assert target_kind(target, "auto", "t.csv") == kind
    assert said in caplog.text
    assert bool(said) == bool(caplog.text)
    caplog.clear()
    if target.dtype.kind in "if":
        assert target_kind(target, "regression", "t.csv") == "regression"
    if target.nunique() < 30:
        assert target_kind(target, "classes", "t.csv") == "classes"
    assert caplog.text == "", "the user has said it"


@pytest.mark.parametrize(
    ("values", "asked", "message"),
    [
        (["u", "v", "w"] * 3, "regression", "target 'y' is text with 3 values, not numbers"),
        ([1.0] * 9, "auto", "is constant"),
        (["u"] * 9, "auto", "is constant"),
        (list("abcdefghi"), "auto", "has 9 values in 9 rows; that is too many for classes"),
        (np.arange(9), "classes", "too many for classes"),
        ([1.0, np.nan, 2.0], "auto", "data row 2: is missing"),
        (["1.5", "2.5", "x", "4"] * 3, "auto", "column 'y', data row 3: 'x' is not a finite number"),
        (["u", None, "v"], "auto", "data row 2: is missing"),
        ([1.0, np.inf, 2.0], "auto", "data row 2: inf is not a finite number"),
    ],
)
def test_targets_that_are_no_target(values: Any, asked: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        target_kind(pd.Series(values, name="y"), asked, "t.csv")


def test_classes_keep_their_shares_and_rows_are_each_in_one_part() -> None:
    target = pd.Series(["u"] * 50 + ["v"] * 30 + ["w"] * 20, name="y")
    train, test = split_rows(target, "classes", 0.3, 4, "t.csv")
    assert sorted([*train, *test]) == list(range(100))
    assert target[test].value_counts().to_dict() == {"u": 15, "v": 9, "w": 6}
    again, other = (split_rows(target, "classes", 0.3, seed, "t.csv")[1] for seed in (4, 5))
    assert np.array_equal(test, again)
    assert not np.array_equal(test, other)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1.0, 2.0], "regression", "2 rows are too few for a test share of 0.2"),
        (["u"] * 9 + ["v"], "classes", "class 'v' has one row"),
        (["u", "v", "w"] * 3, "classes", "9 rows are too few for 3 classes and a test share of 0.2"),
    ],
)
def test_too_few_rows(values: Any, kind: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_rows(pd.Series(values, name="y"), kind, 0.2, 0, "t.csv")
