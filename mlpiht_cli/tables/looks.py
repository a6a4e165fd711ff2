"""Words that stand for numbers: dates, times, and numbers with marks that are no part of one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Look(NamedTuple):
    """What words look like, and how to write them as numbers."""

    kind: str
    mend: str


_DAY = r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}"
_PLAIN = r"[-+]?\d+(?:[.,]\d+)?"
_PLAIN_NUMBERS = "write plain numbers, such as 1234.5"
_LOOKS = (
    (rf"(?:{_DAY})(?:[T ].*)?", Look("dates", "write them as numbers, such as days since the first")),
    (r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?", Look("times", "write them as numbers, such as hours")),
    (
        rf"[-+]?\d{{1,3}}(?:[ '_.,\u00a0\u2019\u202f]\d{{3}})+(?:[.,]\d+)?|{_PLAIN}",
        Look("numbers with marks between thousands", _PLAIN_NUMBERS),
    ),
    (rf"{_PLAIN}\s?%", Look("percentages", _PLAIN_NUMBERS)),
    (
        rf"[-+]?[$\u00a3\u00a5\u20ac]\s?{_PLAIN}|{_PLAIN}\s?[$\u00a3\u00a5\u20ac]",
        Look("amounts of money", _PLAIN_NUMBERS),
    ),
)
_PATTERNS = tuple((re.compile(pattern), look) for pattern, look in _LOOKS)


def look_of(words: Iterable[str | None]) -> Look | None:
    """What all words look like, missing ones left out; None if they are plain words, or numbers as they stand."""
    distinct = {word.strip() for word in words if word is not None}
    if not distinct or all(re.fullmatch(_PLAIN, word) for word in distinct):
        return None
    return next((look for form, look in _PATTERNS if all(form.fullmatch(word) for word in distinct)), None)
