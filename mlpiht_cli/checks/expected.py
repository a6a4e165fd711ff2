"""Values of a reference: another results table, or a plain CSV."""

from __future__ import annotations

import csv
import itertools
import json
import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpiht_cli.core.metric import task_metrics
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.table import COLUMNS, check_names
from mlpiht_cli.system.files import regular_size
from mlpiht_cli.system.reasons import reason

log = logging.getLogger("mlpiht")

KEYS = ("panel", "task", "method", "depth", "k", "n", "d", "m", "s", "seed")
"""Columns by which rows are matched, as far as the reference has them."""
_WORDS = ("panel", "task", "method")
_WHOLE = re.compile(r"\s*[-+]?[0-9]{1,18}\s*")

Outcome = float | str
"""A value, or a word in its place (``diverged``, ``skipped``)."""
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Expected:
    """One value of a reference, in its line ``row``."""

    key: Key
    metric: str
    outcome: Outcome
    params: dict[str, Any] | None
    row: int


def read_reference(path: Path) -> tuple[tuple[str, ...], list[Expected]]:
    """Key columns of a reference, and its rows.

    Raises
    ------
    InputError
        The file cannot be read, or is no reference; the message names the row and what is wrong with it.
    """
    regular_size(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            keys = tuple(name for name in KEYS if name in names)
            if not {"method", "m", "s"} <= set(keys):
                raise InputError(f"{path}: a reference has columns method, m, s, and more of {', '.join(KEYS)}")
            check_names(names, path)
            _say_what_is_left(names, path)
            parse = _parser(names, keys, path)
            expected = [one for number, line in enumerate(reader, start=2) for one in _row(parse, line, path, number)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); check the file") from error
    if not expected:
        raise InputError(f"{path}: holds no rows")
    return keys, expected


def _plain() -> dict[str, str]:
    """Metrics by the names of their columns."""
    return {alias: name for name, one in task_metrics().items() for alias in (*one.aliases, name)}


def _compared(columns: Sequence[str]) -> dict[str, str]:
    """Columns that hold values, with their metrics; of ``value`` each row names its metric."""
    plain = _plain()
    return {"value": ""} if "value" in columns else {name: plain[name] for name in columns if name in plain}


def _say_what_is_left(columns: Sequence[str], path: Path) -> None:
    """Name the columns that are not compared; those of a results table are known to its reader."""
    read = {*KEYS, *_compared(columns), "metric", "status", "params", *(COLUMNS if "cell" in columns else ())}
    left = [name or "without a name" for name in columns if name not in read]
    if left:
        log.warning(
            "%s: not compared: column%s %s; values are in columns metric and value, or in columns named %s",
            *(path, "s" if len(left) > 1 else "", ", ".join(left), ", ".join(_plain())),
        )


_Parser = Callable[[dict[str, str], int], list[Expected]]


def _row(parse: _Parser, line: dict[str, Any], path: Path, number: int) -> list[Expected]:
    """Values of a line, which must have as many values as the header has names."""
    try:
        if None in line or None in line.values():
            raise ValueError(f"has {'more' if None in line else 'fewer'} values than the header has names")
        return parse(line, number)
    except ValueError as error:
        raise InputError(f"{path}: row {number}: {error}; correct it, or leave the row out") from error


def _parser(columns: Sequence[str], keys: tuple[str, ...], path: Path) -> _Parser:
    """A reader of lines: with columns ``metric`` and ``value``, or with columns that are called like their metrics."""
    named = _compared(columns)
    if not named or ("value" in named and "metric" not in columns):
        raise InputError(f"{path}: no columns 'metric' and 'value', and none of {', '.join(_plain())}")
    for (first, one), (second, other) in itertools.combinations(named.items(), 2):
        if one == other:
            raise InputError(f"{path}: columns '{first}' and '{second}' are one metric; leave one of them out")

    def outcome(column: str, line: dict[str, str], status: str, name: str) -> Outcome:
        undefined = "status" in columns and line[column] == ""  # in a results table; elsewhere a mistake
        value = math.nan if status != "ok" or undefined else _number(column, line[column])
        if status != "ok" or not math.isnan(value):
            return value if status == "ok" else status
        return f"no {name}" if undefined else "diverged"

    def parse(line: dict[str, str], number: int) -> list[Expected]:
        """Values of a line; one of several metrics may be empty, as not every row has every metric."""
        key = tuple(line[axis] if axis in _WORDS else _whole(axis, line[axis]) for axis in keys)
        params, status, found = _params(line.get("params")), line.get("status") or "ok", []
        for column in [column for column in named if line[column] != ""] or named:
            name = named[column] or line["metric"]
            found.append(Expected(key, name, outcome(column, line, status, name), params, number))
        return found

    return parse


def _whole(column: str, text: str) -> int | None:
    """A whole number; None for nothing."""
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{column}: '{text[:40]}' is no whole number")
    return int(text)


def _number(column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        said = f"'{text[:40]}' is no number" if text else "there is no number"
        raise ValueError(f"{column}: {said}") from error


def _params(text: str | None) -> dict[str, Any] | None:
    """Settings of a row; None for nothing."""
    try:
        params = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"params: {reason(error)}") from error
    if not isinstance(params, dict | None):
        raise ValueError("params is no JSON object")
    return params
