"""Data of a figure: rows of a table on the grid of a spec."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.scores import finite_number, finite_numbers, word
from mlpiht_cli.core.metric import Metric, metric
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import FigureSpec


def in_capitals(label: str) -> str:
    """A label with the short names of methods in capitals."""
    return re.sub(r"\b(iht|imp|mlp)\b", lambda found: found[0].upper(), label)


@dataclass(frozen=True)
class Look:
    """Options of a figure: no titles as in the paper, values written in, means over the seeds that have rows."""

    paper: bool = False
    annotate: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Grid:
    """Results of one method on one panel, over m (rows) and s (columns).

    Attributes
    ----------
    mean, std
        Mean and standard deviation (of these seeds, not of a population) of the metric over the seeds,
        ``[len(m), len(s)]``; nan where there is none, and the deviation of one seed.
    state
        ``ok``, ``missing``, ``skipped`` or ``bad`` (failed or diverged), same shape.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    state: NDArray[np.str_]


@dataclass(frozen=True)
class PanelTable:
    """One panel: axes, limits and the rows by their keys; ``n`` and ``d`` hold None where it does not vary them."""

    name: str
    title: str
    methods: list[str]
    m: list[int]
    s: list[int]
    seeds: list[int]
    metric: str
    limits: tuple[float, float] | None
    rows: dict[RowKey, Row]
    n: Sequence[int | None] = (None,)
    d: Sequence[int | None] = (None,)
    own_seeds: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Seeds of each method that runs with some of them only."""

    @property
    def facts(self) -> Metric:
        """Facts of its metric: label, digits, direction."""
        return metric(self.metric)

    @property
    def chance(self) -> float | None:
        """Share of right classes by guessing, ``1 / classes``; None where the metric does not count classes."""
        if not self.facts.classes:
            return None
        outputs = {row.k for row in self.rows.values() if row.k is not None}
        return 1.0 / max(2, *outputs) if outputs else None

    @property
    def label(self) -> str:
        """Label of the metric, with what guessing would give."""
        return self.facts.label if self.chance is None else f"{self.facts.label} (chance {self.chance:.3g})"

    @property
    def span(self) -> tuple[float, float]:
        """Limits of the metric: those given, or what the rows span."""
        values = finite_numbers(self.rows.values(), self.metric)
        low, high = self.limits or (min(values, default=0.0), max(values, default=1.0))
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    @property
    def sizes(self) -> list[tuple[int | None, int | None]]:
        """Every (n, d)."""
        return list(product(self.n, self.d))

    @property
    def only_size(self) -> tuple[int | None, int | None]:
        """The one (n, d) of a map.

        Raises
        ------
        InputError
            There are several.
        """
        if len(self.sizes) > 1:
            raise InputError(f"panel '{self.name}' varies n or d, which a map over m and s cannot show; draw a curve")
        return self.sizes[0]

    @property
    def total(self) -> int:
        """Number of cells."""
        return sum(map(self.runs, self.methods))

    def runs(self, method: str) -> int:
        """Number of cells of one method."""
        return len(self.seeds_of(method)) * len(self.sizes) * len(self.m) * len(self.s)

    def grid(self, method: str, partial: bool, other: str | None = None) -> Grid:
        """Average over the seeds; a cell counts only with all its seeds, unless ``partial``.

        Seeds without a row of the method ``other`` are left out, so that the two can be compared.

        Raises
        ------
        InputError
            The panel has several n or d, which a grid over m and s cannot show.
        """
        shape, size = (len(self.m), len(self.s)), self.only_size
        mean, std, state = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, "missing", dtype="<U8")
        for i, m in enumerate(self.m):
            for j, s in enumerate(self.s):
                rows = dict(zip(self.seeds_of(method), self.at(method, m, s, size), strict=True))
                if other is not None:
                    others = zip(self.seeds_of(other), self.at(other, m, s, size), strict=True)
                    rows |= {seed: None for seed, row in others if row is None}
                values, state[i, j] = _values(list(rows.values()), self.metric, partial)
                if values:
                    mean[i, j], std[i, j] = np.mean(values), np.std(values) if len(values) > 1 else np.nan
        return Grid(mean, std, state)

    def at(self, method: str, m: int, s: int, size: tuple[int | None, int | None] = (None, None)) -> list[Row | None]:
        """Rows of one grid point, one for each seed; None for a missing row."""
        return [self.rows.get(RowKey(self.name, method, m, s, seed, *size)) for seed in self.seeds_of(method)]

    def seeds_of(self, method: str) -> Sequence[int]:
        """Seeds that a method runs with, in the order of :meth:`at`."""
        return self.own_seeds.get(method, self.seeds)


def state_of(rows: Sequence[Row | None], partial: bool) -> str:
    """State of one grid cell over its seeds, by their statuses: ``ok``, ``missing``, ``skipped`` or ``bad``."""
    known = {row.status for row in rows if row is not None}
    if known - {"ok", "skipped"}:
        return "bad"  # a mean without diverged runs would favour a method that diverges
    if None in rows and not (partial and "ok" in known):
        return "missing"
    return "skipped" if "skipped" in known else "ok"


def _values(rows: Sequence[Row | None], name: str, partial: bool) -> tuple[list[float], str]:
    """Values and state of one grid cell over its seeds."""
    state, there = state_of(rows, partial), [row for row in rows if row is not None]
    if state != "ok":
        return [], state
    values = finite_numbers(there, name)
    return (values, "ok") if len(values) == len(there) else ([], "bad")


def _shown(row: Row, name: str) -> float | str | None:
    """What a figure may show of a row: a number, or a word."""
    number = finite_number(row, name)
    return word(row, name) if number is None else number


@dataclass(frozen=True)
class FigureTable:
    """Title, note and panels of a figure, and the labels of all methods of its spec."""

    name: str
    title: str
    spec: FigureSpec
    note: str
    panels: list[PanelTable]
    every: tuple[str, ...] = ()

    @property
    def methods(self) -> list[str]:
        """Labels of the methods in the order of the panels."""
        return list(dict.fromkeys(method for panel in self.panels for method in panel.methods))

    @property
    def falling(self) -> bool:
        """Whether less is better: the figure says so, or its metric does."""
        if self.spec.falling is not None:
            return self.spec.falling
        return any(panel.facts.falling for panel in self.panels[:1])

    @property
    def fingerprint(self) -> str:
        """Hash of the values shown: a picture with another hash is older than the table."""
        shown = [
            (panel.name, row.cell, *(_shown(row, name) for name in (panel.metric, *self.spec.further)))
            for panel in self.panels
            for row in panel.rows.values()
        ]
        return hashlib.sha256(repr(sorted(shown, key=lambda one: one[:2])).encode()).hexdigest()[:20]
