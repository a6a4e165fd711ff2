"""Rows made with other settings, versions or data than the cell has now, and their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlpiht_cli.engine.sweep import tables_of
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store
from mlpiht_cli.specs.point import Point

_ABSENT = "absent"


@dataclass(frozen=True)
class Reason:
    """Cells of a panel and method without a row, and how the nearest row differs; no changes if there is none."""

    panel: str
    label: str
    changes: tuple[str, ...]
    cells: int

    @property
    def text(self) -> str:
        """One line."""
        if not self.changes:
            return f"x{self.cells} ({self.panel}, {self.label}): no row of this panel, method, m, s and seed"
        return f"x{self.cells} ({self.panel}, {self.label}): rows were made with {', '.join(self.changes)}"

    @property
    def json(self) -> dict[str, Any]:
        """The same for ``--json``."""
        return {"panel": self.panel, "label": self.label, "changes": list(self.changes), "cells": self.cells}


def reasons(cells: Sequence[Cell], current: Collection[str], rows: Iterable[Row]) -> list[Reason]:
    """Find how the nearest of ``rows`` differs from each cell whose key is not in ``current``, most frequent first.

    A near row has the same panel, task, method and grid point, and belongs to no cell; of several the one with the
    fewest changes counts.
    """
    wanted: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        if cell.key not in current:
            wanted.setdefault(_place(cell.point), []).append(cell)
    mine = {cell.key for cell in cells}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in rows:
        for cell in () if row.cell in mine else wanted.get(_place(row), ()):
            key, made = (cell.point.panel, cell.key), _changes(row, cell)
            if key not in found or len(made) < len(found[key]):
                found[key] = made
    counted = Counter(
        (cell.point.panel, cell.point.label, found.get((cell.point.panel, cell.key), ()))
        for group in wanted.values()
        for cell in group
    )
    return [Reason(*what, number) for what, number in counted.most_common()]


def _place(of: Point | Row) -> tuple[Any, ...]:
    return of.panel, of.task, of.method, of.depth, of.m, of.s, of.seed


def _changes(row: Row, cell: Cell) -> tuple[str, ...]:
    """Settings and versions in which a row differs from a cell, as ``method.steps 15 (now 30)``."""
    out = []
    for part, now in cell.params.items():
        made = row.params.get(part)
        made = made if isinstance(made, dict) else {}
        for name in sorted({*made, *now}):
            before, after = made.get(name, _ABSENT), now.get(name, _ABSENT)
            if before != after:
                out.append(f"{part}.{name} {before} (now {after})")
    files = f"an unofficial {', '.join(sorted(row.unofficial))} is not on this machine" if row.unofficial else ""
    changed = files or "the content of its files has changed"
    return tuple(out) or (f"other data: {changed}, or the row was edited",)


def stale_rows(cells: Sequence[Cell], current: Collection[str], store: Store) -> list[Reason]:
    """Reasons why cells whose keys are not in ``current`` have no row, although the folder has rows of their specs."""
    specs, mine = tables_of(cells), {cell.key for cell in cells}
    if mine <= set(current):
        return []
    recorded = (row for _, row in store.every(without=mine) if row is not None and row.spec in specs)
    rows = [*store.tabled(specs), *recorded]
    return reasons(cells, current, rows)
