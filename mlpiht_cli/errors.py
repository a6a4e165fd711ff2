"""Errors that are the user's to mend: shown as one message, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """A usage, spec or data problem; nothing has run. The command exits with code 2."""


class CellSkipped(Exception):
    """A cell that is undefined by the protocol; its reason becomes the row's ``skipped`` status."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"``, or the list of what is known when nothing is close."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f", did you mean '{close[0]}'?"
    return f" (known: {', '.join(options)})" if options else ""
