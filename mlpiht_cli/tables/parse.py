"""Text of a table to columns, by pandas' parser, whose complaints are put into our words."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_FIELDS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


@dataclass(frozen=True)
class Text:
    """A text table whose separator is known.

    Attributes
    ----------
    data
        The whole file.
    source
        Its name in messages.
    mark
        The separator.
    header
        Whether the first line names the columns.
    """

    data: bytes
    source: str
    mark: str
    header: bool

    def frame(self, decimal: str) -> pd.DataFrame:
        """Data rows; what looks like numbers is numbers.

        Raises
        ------
        InputError
            The text is no table.
        """
        names = self.names  # first: it sees the fields that the rest would take for row labels
        frame = self._parsed(header=0 if self.header else None, decimal=decimal, low_memory=False)
        frame.columns = names
        return frame

    def words(self, columns: Sequence[str], rows: int | None = None) -> pd.DataFrame:
        """Data rows of some columns as text, at most the first ``rows``; missing values are missing."""
        places = sorted(self.names.index(name) for name in columns)
        frame = self._parsed(header=0 if self.header else None, dtype=str, usecols=places, nrows=rows)
        frame.columns = [self.names[i] for i in places]
        return frame.astype(object)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns as the header writes them, or ``x0``, ``x1``, ... without a header.

        Without a header pandas neither renames a second `y` to `y.1` nor reads extra fields as row labels.
        """
        first = self._parsed(header=None, nrows=2, dtype=str, keep_default_na=False)
        return [str(name) for name in first.iloc[0]] if self.header else [f"x{i}" for i in range(first.shape[1])]

    def _parsed(self, **options: Any) -> pd.DataFrame:
        import pandas as pd

        try:
            return pd.read_csv(  # type: ignore[no-any-return]
                io.BytesIO(self.data),
                sep=self.mark,
                encoding="utf-8-sig",
                skipinitialspace=self.mark != "\t",
                **options,
            )
        except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
            raise _fault(error, self.source, self.header) from error


def _fault(error: Exception, source: str, header: bool) -> InputError:
    """Return what is wrong with a table that the parser refuses, in our words."""
    said = str(error)
    if fields := _FIELDS.search(said):
        known, line, count = fields.groups()
        if header and line == "2" and int(count) == int(known) + 1:
            return InputError(
                f"{source}: line 2 has {count} values where the header has {known} names; if the first value of each "
                "line is the name of its row, as R writes it, name that column in the header"
            )
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
