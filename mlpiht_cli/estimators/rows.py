"""Rows that an estimator is given, checked before scikit-learn does where its message would be about something else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import shown
from mlpiht_cli.tables.form import is_number


def check_targets(y: Any) -> None:
    """Raise an error if a row has no target: None, NaN, or what pandas has for a missing value.

    Raises
    ------
    ValueError
        A target is missing; the message names the first such row.
    """
    from pandas import isna

    values = _array(y)
    if not values.ndim or not values.size:
        return  # no column of values, of which scikit-learn tells
    missing = np.asarray(isna(values)).reshape(len(values), -1)
    rows = np.flatnonzero(missing.any(axis=1))
    if len(rows):
        first = values.reshape(len(values), -1)[rows[0]][missing[rows[0]]][0]
        raise ValueError(
            f"y has no value in row {rows[0]} (counted from 0): it is {first}; rows without a value: {len(rows)} of "
            f"{len(values)}; leave them out of X and y, or fill in their values"
        )


@contextmanager
def naming_words(**data: Any) -> Iterator[None]:
    """Name the first word among ``data`` that should be numbers, in place of an error that could not convert it.

    Raises
    ------
    ValueError
        A value is a word; the message names its place.
    """
    try:
        yield
    except ValueError as error:
        if "could not convert" in str(error):
            for name, values in data.items():
                _refuse_word(name, _array(values), error)
        raise


def _refuse_word(name: str, values: NDArray[Any], cause: ValueError) -> None:
    for (row, *column), value in np.ndenumerate(values) if values.ndim else ():
        if isinstance(value, str) and not is_number(value):
            where = f"row {row}" + "".join(f", column {one}" for one in column)
            mend = (
                "SparseReLUClassifier fits labels"
                if name == "y"
                else "turn words into numbers, as sklearn's OneHotEncoder does"
            )
            raise ValueError(
                f"{name} has no number in {where} (counted from 0): it is {shown(value)}; {mend}"
            ) from cause


def _array(data: Any) -> NDArray[Any]:
    """Return data as an array; what is none yet keeps its values as they are, since a list of words may hold None."""
    return data if isinstance(data, np.ndarray) else np.asarray(data, dtype=object)
