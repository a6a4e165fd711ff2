"""Columns of a table: numbers or words, and how the recipe encodes each."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlpiht")

_SHOWN = 5
_TRUTH = {"1": "True", "0": "False"}


class Column(BaseModel):
    """One column of features, and what the training rows taught of it.

    Attributes
    ----------
    name
        Name in the table.
    categories
        Words of a column of words, sorted; None for numbers.
    fill
        Value that replaces a missing one: the median, or the most frequent word.
    missing
        Whether the training rows have missing values; a column of 0 and 1 then tells where values are missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    categories: list[str] | None = None
    fill: float | str = 0.0
    missing: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        words = self.categories
        if words is None and not (isinstance(self.fill, float) and np.isfinite(self.fill)):
            raise ValueError(f"column '{self.name}': no number replaces a missing one")
        if words is not None and (self.fill not in words or len(set(words)) != len(words)):
            raise ValueError(f"column '{self.name}': its categories are not usable")
        return self

    @property
    def names(self) -> list[str]:
        """Names of the network's inputs that the column becomes."""
        own = [self.name] if self.categories is None else [f"{self.name}={word}" for word in self.categories]
        return [*own, f"{self.name} is missing"] if self.missing else own

    def encoded(self, column: pd.Series[Any], source: str) -> NDArray[np.float64]:
        """Return the inputs of the rows, ``[n, len(names)]``, before they are standardised.

        A word that no training row has gives zeros, and the log names it; so it does a missing value in a column that
        has none in the training rows.

        Raises
        ------
        InputError
            A value is not a finite number, in a column of numbers.
        """
        if self.categories is None:
            values = numbers(column, source)
            absent = np.isnan(values)
            own = np.where(absent, self.fill, values)[:, None]
        else:
            found = words(column, source)
            absent = np.array([word is None for word in found], dtype=bool)
            if {*self.categories} <= {*_TRUTH.values()}:  # a file may write 1 and 0 for true and false
                found = np.array([_TRUTH.get(word, word) for word in found], dtype=object)
            own = self._one_hot(np.where(absent, self.fill, found), source)
        if self.missing:
            return np.column_stack([own, absent])
        if absent.any():
            log.warning(
                "%s: column '%s' has %d missing values, and the training rows have none: they become %s",
                *(source, self.name, absent.sum(), self.fill),
            )
        return own

    def _one_hot(self, found: NDArray[np.object_], source: str) -> NDArray[np.float64]:
        assert self.categories is not None
        place = {word: i for i, word in enumerate(self.categories)}
        codes = np.array([place.get(word, -1) for word in found], dtype=np.int64)
        if (codes < 0).any():
            fresh = sorted({str(word)[:40] for word in found[codes < 0]})
            more = f" and {len(fresh) - _SHOWN} more" if len(fresh) > _SHOWN else ""
            shown = ", ".join(f"'{word}'" for word in fresh[:_SHOWN])
            log.warning("%s: column '%s': no training row has %s%s; it counts as none", source, self.name, shown, more)
        out = np.zeros((len(found), len(self.categories)))
        known = np.flatnonzero(codes >= 0)
        out[known, codes[known]] = 1.0
        return out


def row_number(column: pd.Series[Any], i: int) -> int:
    """Number of the row at place ``i``, from 1: an index of whole numbers is that of the file, from 0."""
    return int(column.index[i] if column.index.dtype.kind in "iu" else i) + 1


def is_numbers(column: pd.Series[Any]) -> bool:
    """Whether a column is numbers: by its type, or because at least half of its values are written as numbers.

    True and False are words.
    """
    if column.dtype.kind in "iuf":
        return True
    values = [value for value in column.dropna() if not isinstance(value, bool)]
    return 0 < len(values) <= 2 * sum(as_number(value) is not None for value in values)


def numbers(column: pd.Series[Any], source: str) -> NDArray[np.float64]:
    """Return a column as numbers ``[n]``; NaN where they are missing.

    Raises
    ------
    InputError
        A value is not a finite number; the message names the column and the row.
    """
    if column.dtype.kind in "biuf":  # true and false come where training rows had 1 and 0
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(np.isinf(values))
    else:
        found = [as_number(value) for value in column]
        values = np.array([np.nan if value is None else value for value in found])
        bad = np.flatnonzero(np.array([value is None for value in found], dtype=bool) & ~column.isna().to_numpy())
    if len(bad):
        text = repr(column.iloc[bad[0]]) if column.dtype.kind not in "biuf" else str(values[bad[0]])
        text = text if len(text) <= 60 else f"{text[:57]}..."
        what = "is too large for double precision" if str(column.iloc[bad[0]]).isdecimal() else "is not a finite number"
        raise InputError(
            f"{source}: column '{column.name}', data row {row_number(column, bad[0])}: {text} {what}; correct it, or "
            "drop the row or the column"
        )
    return values


_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*", re.ASCII)
"""Numbers as tables write them; Python's also have underscores and digits of other scripts."""


def as_number(value: Any) -> float | None:
    """Return a finite number; None for anything else."""
    if value is None or isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):  # a table may hold an integer of any length
        return None
    return found if np.isfinite(found) else None


def words(column: pd.Series[Any], source: str) -> NDArray[np.object_]:
    """Return a column as words ``[n]``; None where they are missing. A whole number is written without a point.

    Raises
    ------
    InputError
        A value is neither a word nor a number nor true or false.
    """
    missing = column.isna().to_numpy()
    out = np.empty(len(column), dtype=object)
    for i, value in enumerate(column):
        out[i] = None if missing[i] else _word(value)
        if out[i] is None and not missing[i]:
            kind = type(value).__name__
            raise InputError(
                f"{source}: column '{column.name}' holds values of type {kind}; turn them into numbers or words, "
                "or drop the column"
            )
    return out


def _word(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return None
