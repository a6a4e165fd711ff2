"""What tells rows of one panel and method apart, apart from their grid points."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlpiht_cli.records.rows import Row

LATER: Mapping[str, Any] = {
    **{"signs": "positive", "noise": 0.0, "inputs": "gaussian", "correlation": 0.6},
    **{"noise_unit": "absolute", "prepare": "raw", "pixels": "raw"},
    **{"starts": 1, "offset": False, "exact": False},
    **{"relax": 1.0, "schedule": "constant", "relax_share": 0.6},
    **{"values": "ones", "features": "coordinates"},
}
"""Settings added after rows were published, and the values that older rows were made with."""
SIZES = frozenset({"task.n", "task.d"})
"""Settings of tasks that a panel may vary as axes."""
_ADDED = {f"{part}{name}": value for name, value in LATER.items() for part in ("", "task.")}
"""They, under both names that they may have."""
ABSENT = "null"
"""What is shown of a setting that a row lacks."""
_CHECKSUM = 8
"""Digits of a checksum that are shown."""


def made_with(row: Row) -> dict[str, str]:
    """What a row was made with, by name, as it is shown: task, depth, checksums of files, settings of both.

    Settings of the task and checksums have names with a dot, such as ``task.noise``.
    """
    found = {"task": row.task, "depth": row.depth, **settings(row.params)}
    return {name: _shown(value) for name, value in found.items() if name != "task.clip_budget"}  # it changes no cell


def settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in the ``params`` of a row by the names of :func:`made_with`, with those that older rows lack."""
    parts = {name: part if isinstance(part, dict) else {} for name, part in params.items()}
    task = {f"task.{name}": value for name, value in parts.get("task", {}).items()}
    data = {f"data.{name}": str(value)[:_CHECKSUM] for name, value in parts.get("data", {}).items()}
    return {**_ADDED, **task, **data, **parts.get("method", {})}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def differing(made: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Names in which rows differ, with their values, in order."""
    names = dict.fromkeys(name for one in made for name in one)
    values = {name: list(dict.fromkeys(one.get(name, ABSENT) for one in made)) for name in names}
    return {name: found for name, found in values.items() if len(found) > 1}


def in_words(varied: Mapping[str, Sequence[str]]) -> str:
    """Names and values in which rows differ, for a message."""
    return ", ".join(f"{name} ({' and '.join(values)})" for name, values in varied.items())


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Rows with different tasks, depths or settings: the first row of each."""
    found: list[Row] = []
    for row in rows:
        if not any((row.task, row.depth, row.params) == (one.task, one.depth, one.params) for one in found):
            found.append(row)
    return found


def labels(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """Label of each row by panel and cell: its method, and what it and the panel vary in."""
    found = {}
    for panel in dict.fromkeys(row.panel for row in rows):
        own = [row for row in rows if row.panel == panel]
        shared = [name for name in _varied(own) if is_of_task(name)]
        for method in dict.fromkeys(row.method for row in own):
            variants = [row for row in own if row.method == method]
            varied = _varied(variants)
            # A size that varies within a method is an axis.
            names = [name for name in dict.fromkeys([*shared, *varied]) if name not in SIZES or name not in varied]
            for row in variants:
                made = made_with(row) if names else {}
                found[panel, row.cell] = " ".join([method, *(f"{name}={made.get(name, ABSENT)}" for name in names)])
    return found


def _varied(rows: Sequence[Row]) -> list[str]:
    return list(differing([made_with(row) for row in distinct(rows)]))


def is_of_task(name: str) -> bool:
    """Whether a name of :func:`made_with` is of the task and its data, which the methods of a panel share."""
    return name in ("task", "depth") or name.startswith(("task.", "data."))
