"""Errors that are the user's to mend: shown as one message, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_NAMES = 40
"""Names that a message lists at most."""
MAX_COMPARED = 1000
"""Names that a word is compared with at most."""


class InputError(Exception):
    """A usage, spec or data problem; nothing has run. The command exits with code 2."""


class CellSkipped(Exception):
    """A cell that is undefined by the protocol; its reason becomes the row's ``skipped`` status."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"``, or the list of what is known when nothing is close."""
    options = sorted(known)
    close = difflib.get_close_matches(word[:80], options[:MAX_COMPARED], n=1, cutoff=0.6)
    if close:
        return f", did you mean '{close[0]}'?"
    more = f" and {len(options) - MAX_NAMES} more" if len(options) > MAX_NAMES else ""
    return f" (known: {', '.join(option[:80] for option in options[:MAX_NAMES])}{more})" if options else ""
