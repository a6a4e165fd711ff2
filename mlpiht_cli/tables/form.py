"""The form of a text table: header, separator and decimal mark, given or detected."""

from __future__ import annotations

import csv
import io
import itertools
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from mlpiht_cli.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Separator = Literal["auto", "comma", "semicolon", "tab"]
Decimal = Literal["auto", "point", "comma"]

SEPARATORS: dict[Separator, str] = {"comma": ",", "semicolon": ";", "tab": "\t"}
DECIMALS: dict[str, str] = {"point": ".", "comma": ","}
_SAMPLE = 2**16
_ROWS = 100

_WHOLE = r"[-+]?\d+"
_DECIMAL = re.compile(rf"\s*(?:[-+]?\d*,\d+(?:[eE][-+]?\d+)?|{_WHOLE})\s*")
_GROUPED = re.compile(rf"\s*(?:[-+]?[1-9]\d{{0,2}}(?:,\d{{3}})+|{_WHOLE})\s*")


class Form(BaseModel):
    """How a text file writes a table; ``auto`` is detected. Other formats have no form.

    Attributes
    ----------
    header
        Whether the first line names the columns; if not, they are ``x0``, ``x1``, ...
    separator, decimal
        Names of the mark between values, and of the mark before decimals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    header: bool = True
    separator: Separator = "auto"
    decimal: Decimal = "auto"


DETECTED = Form()
"""A header, and marks that are detected."""


@dataclass(frozen=True)
class Reading:
    """A request for columns of a file.

    Attributes
    ----------
    form
        Form of a text file.
    target
        Target column; None: ``y``, or the last column where there is no header; with ``only``, none.
    drop
        Columns to leave out; each must be there.
    only
        The only columns that are used; None: all. Further columns are no fault.
    doubt
        Form that decides where a file can be read in two ways; None: such a file is refused.
    known
        Words by column that are kept as a text file writes them, even where it has nothing but numbers (1 and 01).
    """

    form: Form = DETECTED
    target: str | None = None
    drop: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    doubt: Form | None = None
    known: Mapping[str, Collection[str]] = field(default_factory=dict)

    def target_among(self, names: Sequence[str]) -> str | None:
        """Return the name of the target column in a text file with these columns."""
        if self.target is not None or self.only is not None:
            return self.target
        return "y" if self.form.header else names[-1]


def check_drop(names: Iterable[str], source: str, reading: Reading) -> None:
    """Check that every column to drop is among the names of a file.

    Raises
    ------
    InputError
        One is not.
    """
    known = set(names)
    absent = next((name for name in reading.drop if name not in known), None)
    if absent is not None:
        raise InputError(f"{source}: no column '{absent}' to drop{did_you_mean(absent, known)}")


def separator_of(data: bytes, source: str, reading: Reading) -> str:
    """Return the separator of a text table: the one in its first line, with which all rows have as many fields.

    Raises
    ------
    InputError
        Two separators fit.
    """
    if reading.form.separator != "auto":
        return SEPARATORS[reading.form.separator]
    sample = data[:_SAMPLE].decode("utf-8-sig", errors="replace")
    whole = len(data) <= _SAMPLE
    rows = {mark: _rows(sample, mark, whole) for mark in SEPARATORS.values()}
    found = [mark for mark, lines in rows.items() if lines and len(lines[0]) > 1]
    if len(found) < 2:
        return found[0] if found else ","
    even = [mark for mark in found if len({len(line) for line in rows[mark]}) == 1]
    best = even if len(even) < 2 else [mark for mark in even if _all_numbers(rows[mark], mark)]
    if len(best) == 1:
        return best[0]
    if reading.doubt is not None and reading.doubt.separator != "auto":
        return SEPARATORS[reading.doubt.separator]
    names = " or ".join(repr(mark) for mark in best or found)
    raise InputError(
        f"{source}: its columns may be separated by {names}; say which with the setting separator "
        "(comma, semicolon or tab)"
    )


def _rows(sample: str, mark: str, whole: bool) -> list[list[str]]:
    """First rows of a sample; the last row of a cut sample is left out unless it is the only one."""
    try:
        lines = list(itertools.islice(csv.reader(io.StringIO(sample, newline=""), delimiter=mark), _ROWS + 1))
    except csv.Error:
        return []
    lines = [line for line in lines if line]
    return lines if whole or len(lines) == 1 else lines[:-1]


def _all_numbers(lines: list[list[str]], mark: str) -> bool:
    """Whether all fields after the first line are numbers or empty."""
    fields = (field for line in lines[1:] or lines for field in line if field.strip())
    return all(is_number(field if mark == "," else field.replace(",", ".")) for field in fields)


def is_number(text: str) -> bool:
    """Return whether a field of a file is a number, written with a decimal point."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def decimal_of(frame: pd.DataFrame, source: str, reading: Reading) -> str:
    """Return the decimal mark, given the table as it reads with decimal points.

    A comma, if every value of some column is a number with a decimal comma.

    Raises
    ------
    InputError
        Commas may mark decimals or thousands.
    """
    doubtful = None
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        if column.dtype.kind in "biuf":
            continue
        values = [str(value) for value in column.dropna().unique()]
        if not any("," in value for value in values):
            continue
        if all(_GROUPED.fullmatch(value) for value in values):
            doubtful = doubtful or (column.name, next(value for value in values if "," in value))
        elif all(_DECIMAL.fullmatch(value) for value in values):
            return ","
    if doubtful is None:
        return "."
    if reading.doubt is not None and reading.doubt.decimal == "comma":
        return ","
    # A fitted model has read its own table with decimal points, and no command that reads further rows takes settings.
    first = "give --set task.decimal=comma" if reading.doubt is None else "save the numbers with a decimal point"
    raise InputError(
        f"{source}: column '{doubtful[0]}': '{doubtful[1]}' may have a decimal comma or a comma between thousands; for "
        f"the first {first}, for the second save the numbers without it"
    )


def drop_option(name: str) -> str:
    """Return the option that leaves a column out, as a shell takes it: a name with a comma stands in double quotes."""
    quoted = '"' + name.replace('"', '""') + '"' if set(name) & {",", '"'} else name
    return f"--drop {shlex.quote(quoted)}"


def dropped(text: str) -> list[str]:
    """Return the columns that a value of that option names."""
    lines = csv.reader(io.StringIO(text), skipinitialspace=True)
    return [name.strip() for line in lines for name in line if name.strip()]


def both_marks(points: pd.DataFrame, commas: pd.DataFrame) -> tuple[Any, Any] | None:
    """Names of a column that is numbers with decimal points alone and of one with commas alone; None if none is."""
    pairs = [(points.iloc[:, i].dtype.kind, commas.iloc[:, i].dtype.kind) for i in range(points.shape[1])]
    with_point = next((i for i, (a, b) in enumerate(pairs) if a in "iuf" and b not in "iuf"), None)
    with_comma = next((i for i, (a, b) in enumerate(pairs) if a not in "iuf" and b in "iuf"), None)
    if with_point is None or with_comma is None:
        return None
    return points.columns[with_point], points.columns[with_comma]
