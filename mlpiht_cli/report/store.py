"""Rows as the page holds them: each once, column by column, with a number in place of each text that repeats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from mlpiht_cli.records.rows import Row

MADE_WITH = ("mlpiht", "python", "torch", "numpy", "blas", "device", "threads", "dtype")
"""Columns of a row that say which programs and which machine made it."""


def significant(value: float | None, digits: int) -> float | int | str | None:
    """A number with this many digits, as JSON holds it: whole ones without a point, inf and nan as words."""
    if value is None:
        return None
    if not math.isfinite(value):
        return str(value)
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def commit(row: Row) -> str:
    """The git commit that made a row, in short, and whether its sources had been changed; empty where unknown."""
    return row.git_sha[:12] + (" with changes" if row.git_sha and row.git_dirty else "")


def day(row: Row) -> str:
    """The day on which a row was started, in UTC."""
    return row.started_utc[:10]


class Pool:
    """Values that repeat, each once; a row holds the number of its value."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.values: list[Any] = []

    def number(self, value: Any) -> int:
        """Number of a value, which is kept if it is new."""
        text = json.dumps(value)
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(value)
        return self._numbers[text]


class RowStore:
    """Details of rows by number; two equal rows have one number."""

    COLUMNS = ("cell", "status", "reason", "seconds", "settings", "origin")

    def __init__(self) -> None:
        self._pools = {name: Pool() for name in ("status", "reason", "settings", "origin")}
        self._numbers: dict[tuple[Any, ...], int] = {}

    def number(self, row: Row) -> int:
        """Number of a row, whose details are kept."""
        origin = {name: str(getattr(row, name)) for name in MADE_WITH if getattr(row, name) not in ("", None)}
        origin |= {name: text for name, text in (("commit", commit(row)), ("started", day(row))) if text}
        kept = {"status": row.status, "reason": row.reason, "settings": _settings(row), "origin": origin}
        pooled = {name: self._pools[name].number(value) for name, value in kept.items()}
        found = {"cell": row.cell, "seconds": significant(row.wall_s, 4), **pooled}
        return self._numbers.setdefault(tuple(found[name] for name in self.COLUMNS), len(self._numbers))

    @property
    def document(self) -> dict[str, Any]:
        """Columns by name, and the values that their numbers stand for."""
        columns = zip(*self._numbers, strict=True) if self._numbers else [()] * len(self.COLUMNS)
        pools = {name: pool.values for name, pool in self._pools.items()}
        return {"columns": dict(zip(self.COLUMNS, map(list, columns), strict=True)), "values": pools}


def _settings(row: Row) -> dict[str, str]:
    """Settings of a row by names such as ``method.steps``, and its depth."""
    found = {"depth": str(row.depth)}
    for part, settings in sorted(row.params.items()):
        named: Mapping[str, Any] = settings if isinstance(settings, dict) else {"": settings}
        for name, value in sorted(named.items()):
            key = f"{part}.{name}" if name else part
            found[key] = value if isinstance(value, str) else json.dumps(value)
    return found


def script_json(value: Any) -> str:
    """JSON that can stand in a script element: no character in it can end the element or open a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for one in "<>&\u2028\u2029":
        text = text.replace(one, f"\\u{ord(one):04x}")
    return text
