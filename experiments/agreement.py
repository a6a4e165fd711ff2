"""Comparison of mlpiht's tables with the values of the authors' code in results/reference.

It makes a section of docs/reproduction.md.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpiht_cli.checks.reference import STANDS_FOR, Mode, compare
from mlpiht_cli.core.metric import metric
from mlpiht_cli.records.rows import Row

PLACE = ("panel", "method", "depth", "k", "m", "s")
"""Columns that identify a cell of a figure; the seeds of a cell share a line."""


def reference_path(folder: Path, spec: str) -> Path:
    """Return the path of the values of the authors' code for a spec."""
    return folder / "reference" / f"{spec}.csv"


def agreement(spec: str, rows: Sequence[Row], path: Path) -> tuple[list[tuple[str, ...]], str]:
    """Return the lines of a table, one for each cell of the reference, and a sentence that counts the cells that agree.

    Only rows with the seeds of the reference count. The result of IMP depends only on the seed, so it is compared row
    by row (``close``). IHT draws other gates, so its means over the seeds are compared (``stat``).
    """
    with path.open(newline="", encoding="utf-8") as file:
        theirs = list(csv.DictReader(file))
    seeds = {(*_place(one), one["seed"]) for one in theirs}
    ours = {found: row for row in rows if (found := (*_place_of(row), str(row.seed))) in seeds}
    lines = []
    for place in dict.fromkeys(map(_place, theirs)):
        own = [one for one in theirs if _place(one) == place]
        values = [f"{float(one['value']):.{digits(one['metric'])}f}".replace("nan", "diverged") for one in own]
        found = [_shown(ours.get((*place, one["seed"]))) for one in own]
        lines.append((spec, *place, *map(", ".join, ([one["seed"] for one in own], values, found))))
    return lines, _sentence(list(ours.values()), path)


def digits(name: str) -> int:
    """Digits after the point that a metric is shown with."""
    return metric(name).tolerance.digits


def _place(one: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(one[name] for name in PLACE)


def _place_of(row: Row) -> tuple[str, ...]:
    """Return the columns under which the reference has a row; its ``iht`` also stands for ``iht_vector``."""
    told = {name: str(getattr(row, name)) for name in PLACE}
    return _place(told | {"method": STANDS_FOR.get(row.method, row.method)})


def _shown(row: Row | None) -> str:
    if row is None:
        return "-"
    return f"{row.value:.{digits(row.metric)}f}" if row.status == "ok" and row.value is not None else row.status


def _sentence(rows: Sequence[Row], path: Path) -> str:
    told = []
    kinds: tuple[tuple[str, Mode, str], ...] = (("IHT", "stat", "in the mean"), ("IMP", "close", "row by row"))
    for name, mode, how in kinds:
        own = [row for row in rows if (row.method == "imp") == (name == "IMP")]
        found = compare(own, path, mode)
        if total := found.equal + len(found.different):
            others = [_named(one.where) for one in found.different]
            told.append(f"{name} {how} {found.equal} of {total}" + (f" (not {'; '.join(others)})" if others else ""))
    return f"{path.stem}: {', '.join(told) or 'no cell of ours yet'}."


def _named(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {where[name]}" for name in ("panel", "m", "s", "seed") if name in where)


def rounding(folder: Path) -> list[tuple[str, ...]]:
    """Return the lines of a table of ``imp_rounding.csv``: fits by several programs and by the authors' code."""
    with (folder / "imp_rounding.csv").open(newline="", encoding="utf-8") as file:
        ours = list(csv.DictReader(file))
    with reference_path(folder, "figure4").open(newline="", encoding="utf-8") as file:
        theirs = {
            (one["m"], one["s"], one["seed"]): one["value"] for one in csv.DictReader(file) if one["method"] == "imp"
        }
    programs = dict.fromkeys(one["program"] for one in ours)
    found = {(one["s"], one["seed"], one["program"]): one["psnr"] for one in ours}
    lines: list[tuple[str, ...]] = [("s", "seed", "authors' code", *programs)]
    for s, seed in dict.fromkeys((one["s"], one["seed"]) for one in ours):
        lines.append((s, seed, theirs["10", s, seed], *(found[s, seed, program] for program in programs)))
    return lines
