"""What a figure is drawn from: rows of a table, laid out on the grid of a spec."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.rows import PROFILES, Row, read_csv, table_name
from mlpiht_cli.specs.expand import Point, Told, points, settings_told, with_profile
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.schema import FigureSpec, load_spec

log = logging.getLogger("mlpiht")

_NOTHING = Told({}, {}, False)
PERFECT_DB = 170.0
"""What a PSNR of inf (no error at all) counts for in a mean: a little above what float32 labels can show."""

DEFAULT_LIMITS = {"psnr": (-20.0, 50.0), "accuracy": (0.5, 1.0)}


@dataclass(frozen=True)
class Look:
    """How a figure is to look: the paper's bare style, values written in, means over some seeds allowed."""

    paper: bool = False
    annotate: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Grid:
    """Results of one method on one panel, over m (rows) and s (columns).

    Attributes
    ----------
    mean
        Mean of the metric over the seeds, ``[len(m), len(s)]``; nan where there is none.
    state
        ``ok``, ``missing``, ``skipped`` or ``bad`` (failed or diverged), same shape.
    """

    mean: NDArray[np.float64]
    state: NDArray[np.str_]


@dataclass(frozen=True)
class PanelTable:
    """One panel: axes, colour limits and a row of results per (method, m, s, seed)."""

    name: str
    title: str
    methods: list[str]
    m: list[int]
    s: list[int]
    seeds: list[int]
    limits: tuple[float, float]
    rows: dict[tuple[str, int, int, int], Row]

    def grid(self, method: str, metric: str, partial: bool) -> Grid:
        """Average over the seeds; a cell counts only with all its seeds, unless ``partial``."""
        shape = (len(self.m), len(self.s))
        mean, state = np.full(shape, np.nan), np.full(shape, "missing", dtype="<U8")
        for i, m in enumerate(self.m):
            for j, s in enumerate(self.s):
                rows = [self.rows.get((method, m, s, seed)) for seed in self.seeds]
                mean[i, j], state[i, j] = _average(rows, metric, partial)
        return Grid(mean, state)


def _average(rows: Sequence[Row | None], metric: str, partial: bool) -> tuple[float, str]:
    """Mean and state of one grid cell over its seeds."""
    known = {row.status for row in rows if row is not None}
    if known - {"ok", "skipped"}:
        return np.nan, "bad"  # leaving out what diverged would favour the method that diverges
    if None in rows and not (partial and "ok" in known):
        return np.nan, "missing"
    if "skipped" in known:
        return np.nan, "skipped"
    values = [getattr(row, metric) for row in rows if row is not None]
    return float(np.mean([PERFECT_DB if value == np.inf else value for value in values])), "ok"


@dataclass(frozen=True)
class FigureTable:
    """All that a figure shows."""

    name: str
    title: str
    spec: FigureSpec
    note: str
    panels: list[PanelTable]

    @property
    def methods(self) -> list[str]:
        """Methods in the order of the panels."""
        return list(dict.fromkeys(method for panel in self.panels for method in panel.methods))

    @property
    def total(self) -> int:
        """Number of cells."""
        return sum(len(p.methods) * len(p.m) * len(p.s) * len(p.seeds) for p in self.panels)

    @property
    def missing(self) -> int:
        """Number of cells without a row."""
        return self.total - sum(len(panel.rows) for panel in self.panels)


def figure_table(source: str, profile: str, results: Path) -> FigureTable:
    """Read what a figure of ``source`` shows: a CSV as it stands, or a spec and its table in ``results``.

    Raises
    ------
    InputError
        No such spec, no table yet, or rows without the figure's metric; the message says what to do.
    """
    if source.endswith(".csv"):
        return _from_csv(Path(source))
    spec = load_spec(find_spec(source))
    shrunk = with_profile(spec, profile)
    path = results / table_name(spec.name, profile)
    if not path.exists():
        others = [p for p in PROFILES if p != profile and (results / table_name(spec.name, p)).exists()]
        hint = f"; there is a table of --profile {others[0]}" if others else ""
        raise InputError(f"{path}: no table yet; make it with `mlpiht sweep {source} --profile {profile}`{hint}")
    every = read_csv(path)
    told = settings_told(spec, shrunk, profile)
    fitting = [row for row in every if told.get((row.panel, row.method), _NOTHING).fit(row)]
    if len(fitting) < len(every):
        log.warning(
            "%s: %d row(s) were made with other settings than the spec's and are left out; "
            "`mlpiht plot %s` draws the table as it stands",
            *(path, len(every) - len(fitting), path),
        )
    rows = {_place(row): row for row in fitting}
    panels = []
    wanted = list(points(shrunk))
    for panel in shrunk.panels:
        here = [point for point in wanted if point.panel == panel.name]
        limits = panel.limits or spec.figure.limits
        panels.append(_panel(panel.name, panel.title or panel.name, here, limits, rows))
    _check_metric(rows.values(), spec.figure.metric, path)
    return FigureTable(path.stem, spec.title, spec.figure, _note(profile, rows.values()), panels)


def _from_csv(path: Path) -> FigureTable:
    """The grid is what the rows span."""
    table = read_csv(path)
    if not table:
        raise InputError(f"{path}: holds no rows")
    rows = {_place(row): row for row in table}
    metrics = sorted({row.metric for row in table if row.status == "ok"})
    metric = "accuracy" if metrics == ["accuracy"] else "psnr"
    _check_metric(table, metric, path)
    figure = FigureSpec.model_validate({"label": table[0].figure, "metric": metric})
    panels = []
    for name in dict.fromkeys(row.panel for row in table):
        own = [row for row in table if row.panel == name]
        here = [
            Point(name, own[0].task, method, own[0].depth, m, s, seed)
            for method in dict.fromkeys(row.method for row in own)
            for m in sorted({row.m for row in own})
            for s in sorted({row.s for row in own})
            for seed in sorted({row.seed for row in own})
        ]
        panels.append(_panel(name, name, here, DEFAULT_LIMITS[metric], rows))
    profiles = {row.profile for row in table}
    note = _note(profiles.pop() if len(profiles) == 1 else "mixed profiles", table)
    return FigureTable(path.stem, table[0].figure or path.stem, figure, note, panels)


def _check_metric(rows: Iterable[Row], metric: str, path: Path) -> None:
    other = next((row for row in rows if row.status == "ok" and getattr(row, metric) is None), None)
    if other is not None:
        raise InputError(
            f"{path}: the figure shows {metric}, but the rows of panel '{other.panel}' have {other.metric}; "
            "set figure.metric, or plot panels of one metric at a time"
        )


def _place(row: Row) -> tuple[str, str, int, int, int]:
    return row.panel, row.method, row.m, row.s, row.seed


def _panel(
    name: str,
    title: str,
    here: list[Point],
    limits: tuple[float, float],
    rows: dict[tuple[str, str, int, int, int], Row],
) -> PanelTable:
    def axis(values: Iterable[int]) -> list[int]:
        return sorted(set(values))

    own = {(p.method, p.m, p.s, p.seed): rows.get((name, p.method, p.m, p.s, p.seed)) for p in here}
    return PanelTable(
        name,
        title,
        list(dict.fromkeys(p.method for p in here)),
        axis(p.m for p in here),
        axis(p.s for p in here),
        axis(p.seed for p in here),
        limits,
        {key: row for key, row in own.items() if row is not None},
    )


def _note(profile: str, rows: Iterable[Row]) -> str:
    """What a reader must know of how the rows were made: profile, samples, seeds."""
    made = list(rows)
    samples = sorted({row.n for row in made if row.n is not None})
    seeds = len({row.seed for row in made})
    told = f", n = {samples[0]}" if len(samples) == 1 else ""
    return f"{profile} profile{told}, {f'mean over {seeds} seeds' if seeds != 1 else 'one seed'}"
