"""Our tables beside the values of the authors' code in results/reference: a section of docs/reproduction.md."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlpiht_cli.checks.reference import STANDS_FOR, compare
from mlpiht_cli.rows import Row

PLACE = ("panel", "method", "depth", "k", "m", "s")
"""Columns that a cell of a figure is known by; its seeds stand side by side."""


def reference_path(folder: Path, spec: str) -> Path:
    """Where the values of the authors' code for a spec are."""
    return folder / "reference" / f"{spec}.csv"


def agreement(spec: str, rows: Sequence[Row], path: Path) -> tuple[list[tuple[str, ...]], str]:
    """Lines of a table, one for each cell of the reference, and a sentence that counts those that agree.

    A cell agrees if its mean over the seeds does (``check --mode stat``: half a decibel, half a percent of accuracy, or
    three standard errors of the difference).
    """
    with path.open(newline="", encoding="utf-8") as file:
        theirs = list(csv.DictReader(file))
    ours: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        place = tuple(str(getattr(row, name)) for name in PLACE)
        shown = f"{row.value:.{digits(row.metric)}f}" if row.status == "ok" and row.value is not None else row.status
        for method in (row.method, STANDS_FOR.get(row.method, row.method)):
            ours.setdefault((place[0], method, *place[2:]), {})[str(row.seed)] = shown
    lines = []
    for place in dict.fromkeys(tuple(one[name] for name in PLACE) for one in theirs):
        own = [one for one in theirs if tuple(one[name] for name in PLACE) == place]
        values = [f"{float(one['value']):.{digits(one['metric'])}f}".replace("nan", "diverged") for one in own]
        found = [ours.get(place, {}).get(one["seed"], "-") for one in own]
        lines.append((spec, *place, ", ".join(one["seed"] for one in own), ", ".join(values), ", ".join(found)))
    return lines, _sentence(spec, rows, path)


def digits(metric: str) -> int:
    """Digits after the point that a metric is shown with."""
    return 2 if metric == "psnr" else 4


def _sentence(spec: str, rows: Iterable[Row], path: Path) -> str:
    found = compare(list(rows), path, "stat")
    missing = f", {len(found.missing)} not run" if found.missing else ""
    command = f"`mlpiht check {spec} --reference results/reference/{path.name} --mode stat`"
    return f"{command}: {found.equal} of {found.equal + len(found.different)} agree{missing}."
