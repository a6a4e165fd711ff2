"""Regression or classes: what kind of target a table has, and how its rows are split."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.tables.columns import is_numbers, numbers, words
from mlpiht_cli.tables.looks import look_of
from mlpiht_cli.tables.recipe import Kind
from mlpiht_cli.tables.written import merges

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlpiht")

Asked = Literal["auto", "regression", "classes"]

MOST_CODES = 20
"""Most whole numbers that count as codes of classes unless the user says so."""
ROWS_OF_A_CODE = 10
SHARE_OF_A_CODE = 0.01


def target_kind(target: pd.Series[Any], asked: Asked, source: str) -> Kind:
    """Return the kind of a target, from all rows of the table that is fitted.

    ``auto`` takes words, and any two values, as classes. Whole numbers are classes, too, if they are 0, 1, 2, ... or
    1, 2, 3, ... without a gap, at most :data:`MOST_CODES` of them, and each stands in at least :data:`ROWS_OF_A_CODE`
    rows and one row of a hundred. That holds for codes of species, digits and answers on a scale, but rarely for counts
    and ages. All else is regression. Of few whole numbers the log says how they are taken, and how to overrule it.

    Raises
    ------
    InputError
        The target has a missing value, is constant, or is not of the kind that is asked for.
    """
    absent = np.flatnonzero(target.isna().to_numpy())
    if len(absent):
        raise InputError(
            f"{source}: target '{target.name}', data row {absent[0] + 1}: is missing (nothing, or a word that "
            "stands for it: NA, N/A, nan, null, None); drop the row, or give the label another name"
        )
    if not _is_numeric(target, asked):
        return _check_words(target, asked, source)
    distinct, counts = np.unique(numbers(target, source), return_counts=True)
    if merges(target):
        _say_merged(target, len(distinct), source)
    if len(distinct) < 2:
        raise InputError(f"{source}: target '{target.name}' is constant; there is nothing to learn")
    kind = _kind_of_numbers(distinct, counts) if asked == "auto" else asked
    if asked == "auto" and (len(distinct) > 2 or set(distinct) != {0.0, 1.0}):
        _say(target.name, distinct, kind, source)
    if kind == "classes":
        _check_classes(target, len(distinct), "", source)
    return "classes" if kind == "classes" else "regression"


def _check_words(target: pd.Series[Any], asked: Asked, source: str) -> Kind:
    """Check a target of words, which are classes; the log says what stands for numbers."""
    distinct = np.unique(words(target, source).astype(str))
    if len(distinct) < 2:
        raise InputError(f"{source}: target '{target.name}' is constant; there is nothing to learn")
    look = look_of(distinct)
    like = "" if look is None else f"; they look like {look.kind}: {look.mend}"
    if asked == "regression":
        raise InputError(f"{source}: target '{target.name}' is text with {len(distinct)} values, not numbers{like}")
    _check_classes(target, len(distinct), like, source)
    if look is not None:
        log.warning(
            "%s: target '%s' looks like %s, which are taken as classes; for a regression, %s",
            *(source, target.name, look.kind, look.mend),
        )
    return "classes"


def _check_classes(target: pd.Series[Any], count: int, like: str, source: str) -> None:
    if count > max(2, len(target) / 2):
        raise InputError(
            f"{source}: target '{target.name}' has {count} values in {len(target)} rows; that is too many for "
            f"classes{like}"
        )


def _say_merged(target: pd.Series[Any], count: int, source: str) -> None:
    """Tell that whole numbers of a target are equal in double precision; if all are, it cannot be fitted."""
    what = "its different whole numbers" if count < 2 else "some different whole numbers"
    told = (
        f"{source}: target '{target.name}': {what} are equal in double precision, which holds 15 to 17 digits; "
        "subtract a number from all of them, or take them as labels with --kind classes"
    )
    if count < 2:
        raise InputError(told)
    log.warning("%s", told)


def _is_numeric(target: pd.Series[Any], asked: Asked) -> bool:
    """Whether a target is numbers: by its type, or because most of at least three different words look like numbers.

    Labels that are whole numbers of many digits are words: as numbers, they might be equal.
    """
    distinct = target.drop_duplicates()
    if target.dtype.kind in "iuf":
        are_labels = asked == "classes" or (asked == "auto" and len(distinct) == 2)
        return not (are_labels and merges(distinct))
    return asked != "classes" and (asked == "regression" or len(distinct) > 2) and is_numbers(distinct)


def _kind_of_numbers(distinct: NDArray[np.float64], counts: NDArray[np.int64]) -> Kind:
    if len(distinct) == 2:
        return "classes"
    codes = distinct[0] in (0, 1) and np.array_equal(distinct, distinct[0] + np.arange(len(distinct)))
    often = counts.min() >= max(ROWS_OF_A_CODE, SHARE_OF_A_CODE * counts.sum())
    return "classes" if codes and 2 < len(distinct) <= MOST_CODES and often else "regression"


def _say(name: object, distinct: NDArray[np.float64], kind: str, source: str) -> None:
    """Tell how two numbers, or few whole ones, are taken, since either way may be wrong."""
    if len(distinct) > MOST_CODES or (len(distinct) > 2 and not np.array_equal(distinct, np.round(distinct))):
        return
    taken, other = ("classes", "numbers") if kind == "classes" else ("numbers", "classes")
    log.warning(
        "%s: target '%s' has %d values from %g to %g, which are taken as %s; --kind %s takes them as %s",
        *(source, name, len(distinct), distinct[0], distinct[-1], taken),
        *("regression" if kind == "classes" else "classes", other),
    )


def split_rows(
    target: pd.Series[Any], kind: Kind, share: float, seed: int, source: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the training and of the test rows, each ascending, from a shuffle by the seed.

    Classes keep their shares in both parts.

    Raises
    ------
    InputError
        There are too few rows, or a class has too few.
    """
    from sklearn.model_selection import train_test_split

    rows, count = len(target), round(share * len(target))
    if not 0 < count < rows:
        raise InputError(f"{source}: {rows} rows are too few for a test share of {share}; add rows")
    labels = None
    if kind == "classes":
        labels = words(target, source).astype(str)
        names, counts = np.unique(labels, return_counts=True)
        if counts.min() < 2:
            raise InputError(
                f"{source}: target '{target.name}': class '{names[counts.argmin()][:40]}' has one row; each class "
                "needs one to train on and one to test on: drop the row, or name a file of test rows"
            )
        if min(count, rows - count) < len(names):
            raise InputError(
                f"{source}: {rows} rows are too few for {len(names)} classes and a test share of {share}; add rows"
            )
    train, test = train_test_split(np.arange(rows), test_size=count, random_state=seed, stratify=labels)
    return np.sort(train), np.sort(test)
