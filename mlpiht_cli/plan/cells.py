"""Cells, their keys, and the jobs they are run in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.records.rows import Brief, Row
from mlpiht_cli.rng import Streams
from mlpiht_cli.specs.point import Point
from mlpiht_cli.system.files import canonical


@dataclass(frozen=True)
class Cell:
    """A task plus a method at one grid point: one row of results."""

    point: Point
    task: Task
    method: Method
    spec: str = ""
    figure: str = ""
    profile: str = ""
    base: str = ""
    """Spec whose tables may hold the same cells."""

    @property
    def axes(self) -> Axes:
        """What the task may depend on."""
        return Axes(self.point.m, self.point.s, self.point.depth)

    @property
    def shape(self) -> Shape:
        """Shape of the student."""
        return Shape(self.point.m, self.point.depth)

    @property
    def streams(self) -> Streams:
        """The random streams of its seed."""
        return Streams(self.point.seed)

    @cached_property
    def source_key(self) -> str:
        """Task, its settings and the seed: cells that agree in them may share the inputs where the data differ."""
        return f"{self.point.task} {self.task.version} {self.task.fingerprint} {self.point.seed}"

    @cached_property
    def data_key(self) -> str:
        """Hash of all that determines the data."""
        axes = {name: getattr(self.point, name) for name in self.task.depends_on}
        return _digest(f'"{self.point.task}"', str(self.task.version), self.task.fingerprint, canonical(axes))

    @cached_property
    def key(self) -> str:
        """Hash of every resolved field and both versions; what is equal here is the same cell."""
        p = self.point
        method = f'["{p.method}",{self.method.version},{self.method.fingerprint}]'
        return _digest(f'"{self.data_key}"', method, *map(str, (p.m, p.s, p.depth, p.seed)))

    def fits(self, row: Row | Brief) -> bool:
        """Whether a row that names this cell has its task, method and axes; n and d count where both know them."""
        sizes = (row.n, self.point.n), (row.d, self.point.d)
        return _names(row) == _names(self.point) and all(None in pair or pair[0] == pair[1] for pair in sizes)

    @property
    def size(self) -> dict[str, int]:
        """N and d of the point, as far as its panel varies them."""
        return {axis: value for axis in ("n", "d") if (value := getattr(self.point, axis)) is not None}

    @property
    def params(self) -> dict[str, Any]:
        """Resolved settings, for the row; see :meth:`~mlpiht_cli.core.settings.Settings.recorded`."""
        return {
            "task": {"version": self.task.version, **self.task.recorded()},
            "method": {"version": self.method.version, **self.method.recorded()},
        }


_names = attrgetter("task", "method", "depth", "m", "s", "seed")
"""What a row and a grid point both say of themselves."""


def _digest(*texts: str) -> str:
    """Hash of a JSON list, given the texts of its items."""
    return hashlib.sha256(f"[{','.join(texts)}]".encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Job:
    """Cells that share a problem and a trajectory; they differ in their budgets at most."""

    cells: tuple[Cell, ...]

    @property
    def first(self) -> Cell:
        """Any cell stands for what they share."""
        return self.cells[0]


def jobs(cells: list[Cell]) -> list[Job]:
    """Group cells into jobs, jobs with the same data next to each other so that data are made once."""
    groups: dict[str, dict[tuple[object, ...], list[Cell]]] = {}
    for cell in cells:
        p = cell.point
        budget = None if cell.method.shares_trajectory else p.s
        shared = (p.method, cell.method.fingerprint, p.m, p.depth, p.seed, budget)
        groups.setdefault(cell.data_key, {}).setdefault(shared, []).append(cell)
    return [Job(tuple(group)) for by_data in groups.values() for group in by_data.values()]
