"""What the text of a column tells and its numbers do not: whole numbers of many digits, and codes such as 007."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpiht_cli.tables.parse import Text

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlpiht")

EXACT = 2**53
"""Whole numbers up to this one are exact in double precision."""
_DIGITS = re.compile(r"[-+]?\d{1,309}")
_CODE = re.compile(r"0\d+")
_CODE_IN_FILE = re.compile(rb"[\r\n,;\t\"] *0\d")
_MANY_LINES = 3
_SAMPLE = 1000
"""Rows in which codes are looked for."""


def as_written(frame: pd.DataFrame, text: Text, target: str | None) -> pd.DataFrame:
    """Return a table with the columns as text whose numbers or truth values lose what is written.

    They are whole numbers above :data:`EXACT` that became floats, and a target of true and false, or with codes such as
    007: its labels stay as they are.
    """
    lost = [str(name) for name in frame.columns if _is_rounded(frame[name])]
    words = {name: column for name, column in _texts(text, lost).items() if column.map(_is_whole).all()}
    if target is not None and target in frame.columns and target not in words:
        kind, coded = frame[target].dtype.kind, _has_codes(text)
        if kind == "b" or (kind in "iu" and coded):
            written = text.words([target])[target]
            if kind == "b" or written.map(_is_code).any():
                words[target] = written
    return frame.assign(**words) if words else frame


def with_known_words(frame: pd.DataFrame, text: Text, known: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Return a table with the known words of each column as they are written, even if its other rows are numbers."""
    typed = [name for name in known if name in frame.columns and frame[name].dtype.kind != "O"]
    if not typed:
        return frame
    written = text.words(typed)
    kept = {name: written[name].where(written[name].isin(known[name]), frame[name].astype(object)) for name in typed}
    return frame.assign(**kept)


def warn_of_open_quotes(frame: pd.DataFrame, source: str) -> None:
    """Say where a value goes on for many lines: two stray quotation marks take the rows between them for one value."""
    for name in [name for name in frame.columns if frame[name].dtype.kind == "O"]:
        lines = frame[name].map(lambda value: value.count("\n") if isinstance(value, str) else 0)
        if len(lines) and lines.max() >= _MANY_LINES:
            row = int(lines.to_numpy().argmax())
            log.warning(
                "%s: column '%s', data row %d: a value goes on for %d lines; if a quotation mark is not closed there, "
                "close it, or delete it",
                *(source, name, row + 1, lines.max() + 1),
            )


def _texts(text: Text, names: list[str]) -> dict[str, pd.Series[Any]]:
    return {name: text.words([name])[name] for name in names}


def _is_rounded(column: pd.Series[Any]) -> bool:
    """Whether a column may hold whole numbers that are rounded."""
    if column.dtype.kind != "f":
        return False
    values = column.dropna().to_numpy()
    return bool(len(values) and np.abs(values).max() >= EXACT and (values == np.round(values)).all())


def _is_whole(word: object) -> bool:
    return not isinstance(word, str) or _DIGITS.fullmatch(word) is not None


def _is_code(word: object) -> bool:
    return isinstance(word, str) and _CODE.fullmatch(word) is not None


def _has_codes(text: Text) -> bool:
    return _CODE_IN_FILE.search(text.data) is not None


def warn_of_codes(frame: pd.DataFrame, text: Text, target: str | None) -> None:
    """Say which features are read as numbers and have leading zeros, as codes of places and products have."""
    if not _has_codes(text):
        return
    numeric = [str(name) for name in frame.columns if frame[name].dtype.kind in "iuf" and name != target]
    sample = text.words(numeric, _SAMPLE) if numeric else frame[[]]
    for name in sample.columns:
        code = next((word for word in sample[name] if _is_code(word)), None)
        if code is not None:
            log.warning(
                "%s: column '%s' has leading zeros ('%s'), and is read as numbers; if they are codes, write a letter "
                "before each, such as c%s",
                *(text.source, name, code[:40], code[:40]),
            )


def merges(column: pd.Series[Any]) -> bool:
    """Whether different whole numbers of a column become equal in double precision."""
    if column.dtype.kind in "iu":
        whole = {int(value) for value in column.dropna().unique()}
    elif column.dtype.kind == "O":
        words = [value for value in column.dropna().unique() if not isinstance(value, bool)]
        whole = {
            int(value) for value in words if isinstance(value, int) or (isinstance(value, str) and _is_whole(value))
        }
    else:
        return False
    large = {value for value in whole if EXACT <= abs(value) < 10**308}
    return len({float(value) for value in large}) < len(large)
