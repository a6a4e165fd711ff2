"""Text tables: comma, semicolon or tab between values, with a header or without."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.tables.form import DECIMALS, SEPARATORS, Form, Reading, both_marks, check_drop, decimal_of, separator_of
from mlpiht_cli.tables.formats import check_format

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlpiht")

MAX_COLUMNS = 100_000
COPIES = 5
"""Number of copies in double precision that exist while a table is read, split and standardised."""

_FIELDS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


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
    header = reading.form.header
    names = _names(data, source, mark, header)
    decimal = DECIMALS.get(reading.form.decimal, ".")
    frame = _parsed(data, source, (mark, decimal), header)
    if reading.form.decimal == "auto":
        frame.columns = names
        decimal = decimal_of(frame, source, reading)
        if decimal == ",":
            points, frame = frame, _parsed(data, source, (mark, decimal), header)
            frame.columns = names
            if both := both_marks(points, frame):
                raise InputError(
                    f"{source}: column '{both[0]}' has decimal points and column '{both[1]}' decimal commas; "
                    "write all numbers in one way"
                )
    frame.columns = names
    frame = named(frame, source, reading)
    check_drop(frame.columns, source, reading)
    target = reading.target_among(names)
    if target is not None and target in frame.columns and frame[target].dtype.kind == "b":
        place = names.index(target)
        written = _parsed(data, source, (mark, decimal), header, place)
        frame = frame.assign(**{target: written.iloc[:, 0].astype(object)})  # labels stay true or TRUE
    return frame, Form(
        header=header,
        separator=next(name for name, one in SEPARATORS.items() if one == mark),
        decimal="comma" if decimal == "," else "point",
    )


def _parsed(data: bytes, source: str, marks: tuple[str, str], header: bool, as_text: int | None = None) -> pd.DataFrame:
    """Data rows of a text table; with ``as_text`` the column of this number alone, as text."""
    import pandas as pd

    mark, decimal = marks
    alone = {} if as_text is None else {"usecols": [as_text], "dtype": str}
    try:
        return pd.read_csv(  # type: ignore[call-overload,no-any-return]
            io.BytesIO(data),
            sep=mark,
            decimal=decimal,
            header=0 if header else None,
            encoding="utf-8-sig",
            skipinitialspace=mark != "\t",
            low_memory=False,
            **alone,
        )
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise _fault(error, source, header) from error


def _names(data: bytes, source: str, mark: str, header: bool) -> list[str]:
    """Names of the columns as the header writes them, or ``x0``, ``x1``, ... without a header.

    Without a header pandas neither renames a second `y` to `y.1` nor reads extra fields as row labels.
    """
    import pandas as pd

    try:
        first = pd.read_csv(
            io.BytesIO(data),
            sep=mark,
            header=None,
            nrows=2,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skipinitialspace=mark != "\t",
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise _fault(error, source, header) from error
    return [str(name) for name in first.iloc[0]] if header else [f"x{i}" for i in range(first.shape[1])]


def _fault(error: Exception, source: str, header: bool) -> InputError:
    """Return what is wrong with a table that the parser refuses, in our words."""
    said = str(error)
    if fields := _FIELDS.search(said):
        known, line, count = fields.groups()
        return InputError(
            f"{source}: line {line} has {count} values where the lines before have {known}; quote a value that holds a "
            "separator, or say which mark separates values with the setting separator"
        )
    if quote := _QUOTE.search(said):
        return InputError(
            f"{source}: a quotation mark in line {int(quote[1]) + 1} is never closed; close it, or delete it"
        )
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return InputError(f"{source}: is not UTF-8 text (byte {byte:#04x}); save it as UTF-8")
    what = "a CSV table with a header" if header else "a CSV table"
    return InputError(f"{source}: not {what}; each line needs as many values as the first, with one mark between them")


def _check_size(data: bytes, source: str, mark: str) -> None:
    """Refuse a table that is too wide, or too large for the memory once its text is numbers."""
    byte = mark.encode()
    end = re.search(rb"[\r\n]", data)
    columns = 1 + data.count(byte, 0, len(data) if end is None else end.start())
    if columns > MAX_COLUMNS:
        raise InputError(f"{source}: its header names {columns} columns; at most {MAX_COLUMNS} are allowed")
    values = data.count(byte) + max(data.count(b"\n"), data.count(b"\r")) + 1
    check_room(values * 8 * COPIES, f"{source}: a table of {values} values")


def named(frame: pd.DataFrame, source: str, reading: Reading) -> pd.DataFrame:
    """Return the columns that have a name of their own: unnamed counters of rows are left out, and the log says so.

    Raises
    ------
    InputError
        Two columns have one name, or an unnamed column is no counter and not known to be needless.
    """
    nameless = [i for i, name in enumerate(frame.columns) if not name.strip()]
    for i in nameless:
        if reading.only is not None:
            continue
        if not _counts(frame.iloc[:, i]):
            raise InputError(f"{source}: column {i + 1} has no name; name it in the header or delete it")
        log.warning("%s: column %d has no name and counts the rows; it is left out", source, i + 1)
    kept = frame.iloc[:, [i for i in range(frame.shape[1]) if i not in set(nameless)]] if nameless else frame
    twice = next((name for name, count in Counter(kept.columns).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{source}: two columns are called '{twice}'; rename or drop one")
    return kept


def _counts(column: pd.Series[float]) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    if column.dtype.kind not in "iu" or not len(column) or column.iloc[0] not in (0, 1):
        return False
    return bool((np.diff(column.to_numpy()) == 1).all())
