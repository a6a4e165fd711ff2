"""Errors that the user can fix: they are shown as one message, without a traceback."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

MOST_LISTED = 40
"""Most names that a message lists."""
_QUOTED = re.compile(r"(?<=[ (])'[^']{0,10000}'")
MOST_COMPARED = 1000
"""Most names that a word is compared with."""


class InputError(Exception):
    """The command line, a spec or a data file is wrong; the message says what, where and what to do.

    Nothing has run, and the command exits with code 2.
    """


class CellSkipped(Exception):
    """The protocol defines no result for a cell; its row gets the status ``skipped`` and this reason."""


def on_one_line(message: str) -> str:
    """Return a message with the control characters of names and values written out, so that none moves the cursor.

    Line breaks between the lines of a message stay; those in a quoted name do not.
    """
    quoted = _QUOTED.sub(lambda found: _written_out(found[0], keep=""), message)
    return _written_out(quoted, keep="\n\t")


def _written_out(text: str, keep: str) -> str:
    return "".join(one if one.isprintable() or one in keep else repr(one)[1:-1] for one in text)


def plain(value: Any) -> Any:
    """Return a value with Python's own number or text in place of each scalar of NumPy, also in lists and mappings."""
    if isinstance(value, Mapping):
        return {plain(name): plain(one) for name, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value.tolist() if getattr(value, "ndim", None) == 0 and hasattr(value, "tolist") else value


def shown(value: object) -> str:
    """Return a value as messages show it: as Python writes it, NumPy's scalars as the numbers and texts they are."""
    return repr(plain(value))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"``, or a list of the known names if none is close to the word."""
    options = sorted(known)
    same = [option for option in options if option.casefold() == word.casefold()]
    close = same or difflib.get_close_matches(word[:80], options[:MOST_COMPARED], n=1, cutoff=0.6)
    if close:
        return f", did you mean '{close[0]}'?"
    more = f" and {len(options) - MOST_LISTED} more" if len(options) > MOST_LISTED else ""
    listed = ", ".join(_written_out(option[:80], keep="") for option in options[:MOST_LISTED])
    return f" (known: {listed}{more})" if options else ""
