"""Text tables: comma, semicolon or tab between values, with a header or without."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.tables.form import DECIMALS, SEPARATORS, Form, Reading, both_marks, check_drop, decimal_of, separator_of
from mlpiht_cli.tables.formats import check_format
from mlpiht_cli.tables.parse import Text
from mlpiht_cli.tables.written import as_written, warn_of_codes, warn_of_open_quotes, with_known_words

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlpiht")

MAX_COLUMNS = 100_000
COPIES = 5
"""Number of copies in double precision that exist while a table is read, split and standardised."""


def read_text(data: bytes, source: str, reading: Reading) -> tuple[pd.DataFrame, Form]:
    """Read a text table, and say in which form it is written. Unnamed counters are left out.

    Raises
    ------
    InputError
        The text is no table, is too large, can be read in two ways, or a column has no name or that of another.
    """
    check_format(data, source)
    mark = separator_of(data, source, reading)
    _check_size(data, source, mark)
    text = Text(data, source, mark, reading.form.header)
    frame, decimal = _decimal(text, reading)
    frame = named(frame, source, reading)
    check_drop(frame.columns, source, reading)
    if reading.only is None:
        warn_of_codes(frame, text, reading.target_among(text.names))
    frame = as_written(frame, text, reading.target_among(text.names))
    frame = with_known_words(frame, text, reading.known)
    warn_of_open_quotes(frame, source)
    return frame, Form(
        header=text.header,
        separator=next(name for name, one in SEPARATORS.items() if one == mark),
        decimal="comma" if decimal == "," else "point",
    )


def _decimal(text: Text, reading: Reading) -> tuple[pd.DataFrame, str]:
    """Data rows, and the decimal mark with which they are read."""
    decimal = DECIMALS.get(reading.form.decimal, ".")
    frame = text.frame(decimal)
    if reading.form.decimal != "auto":
        return frame, decimal
    decimal = decimal_of(frame, text.source, reading)
    if decimal != ",":
        return frame, decimal
    points, frame = frame, text.frame(decimal)
    if both := both_marks(points, frame):
        raise InputError(
            f"{text.source}: column '{both[0]}' has decimal points and column '{both[1]}' decimal commas; "
            "write all numbers in one way"
        )
    return frame, decimal


def _check_size(data: bytes, source: str, mark: str) -> None:
    """Refuse a table that is too wide, or too large for the memory once its text is numbers."""
    byte = mark.encode()
    end = re.search(rb"[\r\n]", data)
    columns = 1 + data.count(byte, 0, len(data) if end is None else end.start())
    if columns > MAX_COLUMNS:
        raise InputError(f"{source}: its header names {columns} columns; at most {MAX_COLUMNS} are allowed")
    values = data.count(byte) + max(data.count(b"\n"), data.count(b"\r")) + 1
    check_room(values * 8 * COPIES, f"{source}: a table of {values} values")


_NAMELESS = re.compile(r"\s*|Unnamed: \d+(?:\.\d+)?")
"""Names of columns without one; pandas calls them so when it reads them, and writes the words out again."""


def named(frame: pd.DataFrame, source: str, reading: Reading) -> pd.DataFrame:
    """Return the columns that have a name of their own: unnamed counters of rows are left out, and the log says so.

    Raises
    ------
    InputError
        Two columns have one name, or an unnamed column is no counter and not known to be needless.
    """
    nameless = [i for i, name in enumerate(frame.columns) if _NAMELESS.fullmatch(name) and name not in reading.drop]
    for i in nameless:
        if reading.only is not None:
            continue
        if not counts(frame.iloc[:, i]):
            raise InputError(f"{source}: column {i + 1} has no name; name it in the header or delete it")
        log.warning("%s: column %d has no name and counts the rows; it is left out", source, i + 1)
    kept = frame.iloc[:, [i for i in range(frame.shape[1]) if i not in set(nameless)]] if nameless else frame
    twice = next((name for name, count in Counter(kept.columns).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{source}: two columns are called '{twice}'; rename or drop one")
    return kept


def counts(column: pd.Series[float]) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    if column.dtype.kind not in "iu" or not len(column) or column.iloc[0] not in (0, 1):
        return False
    return bool((np.diff(column.to_numpy()) == 1).all())
