"""Read what a figure shows: a spec and its table, or a CSV alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from mlpiht_cli.analysis.places import Places, RowKey
from mlpiht_cli.analysis.scores import finite_number, word
from mlpiht_cli.analysis.tables import placed, read_results
from mlpiht_cli.analysis.variants import labels
from mlpiht_cli.core.metric import metric, task_metrics
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.table import FigureTable, PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv, table_name
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.figure import FigureSpec, View
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.point import Point
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.specs.rules.grids import MAX_CELLS
from mlpiht_cli.specs.rules.views import drawn
from mlpiht_cli.specs.schema import Panel


def figure_tables(source: str, profile: str, results: Path) -> list[FigureTable]:
    """Read what the figures of ``source`` show: all rows of a CSV, or a spec and its table in ``results``.

    A spec has one figure, or one for each of its views.

    Raises
    ------
    InputError
        No such spec, no table yet, or rows without the figure's metric; the message says what to do.
    """
    if source.endswith(".csv"):
        return [_from_csv(Path(source))]
    spec = load_spec(find_spec(source))
    expansion = expand(spec, profile)
    path, every = read_results(spec, profile, results, source)
    rows = placed(expansion, every, str(path))
    stem = Path(table_name(spec.name, profile)).stem
    views = {view.name: view for view in spec.figure.views}
    every_label = tuple(dict.fromkeys(point.label for grid in expansion.grids for point in grid.points()))
    tables = []
    for (_, figure, chosen), view in zip(drawn(spec), views.values() or [None], strict=True):
        panels = []
        for grid in expansion.grids:
            if grid.name not in {one.name for one in chosen}:
                continue
            panel, here = grid.panel, list(grid.points())
            panels.append(_panel((panel.name, panel.title or panel.name), here, _scale(panel, figure, view), rows))
            for score in dict.fromkeys([panels[-1].metric, *figure.further]):
                _check_metric(panels[-1], score, path)
        name, title = (f"{stem}-{view.name}", view.title or spec.title) if view else (stem, spec.title)
        tables.append(FigureTable(name, title, figure, _note(spec.profile_title(profile), panels), panels, every_label))
    return tables


def _scale(panel: Panel, figure: FigureSpec, view: View | None) -> tuple[str, tuple[float, float] | None]:
    """Metric and limits of a panel: those of the view come first, then the panel's, then the figure's."""
    name = panel.metric or figure.metric
    if view is not None and view.metric is not None:
        name = view.metric
    given = view.limits if view is not None else None
    own = panel.limits if name == (panel.metric or name) else None
    shared = figure.limits if name == figure.metric else None
    return name, given or own or shared or metric(name).limits


def _from_csv(path: Path) -> FigureTable:
    """A table whose grid holds every value of the rows."""
    table = read_csv(path)
    if not table:
        raise InputError(f"{path}: holds no rows")
    names = labels(table)
    rows = Places(str(path))
    figure = FigureSpec.model_validate({"label": table[0].figure})
    panels = []
    for name in dict.fromkeys(row.panel for row in table):
        own = [row for row in table if row.panel == name]
        variants = dict.fromkeys(names[name, row.cell] for row in own)
        grids = _grids(own, [[row for row in own if names[name, row.cell] == label] for label in variants])
        spans = [len(values) for values in grids if len(values) > 1]
        if math.prod(spans) * len(variants) > MAX_CELLS:
            raise InputError(f"{path}: panel '{name}' has {' x '.join(map(str, spans))} places for {len(own)} rows")
        here = [
            Point(name, own[0].task, "", own[0].depth, m, s, seed, label, n, d)
            for label in variants
            for m, s, seed, n, d in product(*grids)
        ]
        for number, row in enumerate(table, start=2):
            if row.panel == name:
                size = (row.n if len(grids[3]) > 1 else None, row.d if len(grids[4]) > 1 else None)
                rows.put(RowKey(name, names[name, row.cell], row.m, row.s, row.seed, *size), row, number)
        shown = _metric(own, figure, path)
        panels.append(_panel((name, name), here, (shown, metric(shown).limits), rows))
        _check_metric(panels[-1], shown, path)
    rows.warn()
    profiles = {row.profile for row in table}
    note = _note(f"{profiles.pop() if len(profiles) == 1 else 'mixed profiles'} profile", panels)
    return FigureTable(path.stem, table[0].figure or path.stem, figure, note, panels)


def _grids(rows: list[Row], variants: list[list[Row]]) -> tuple[list[Any], ...]:
    """Values of m, s, seed, n and d; only None for an n or d that varies in no variant: rows without data have none."""
    grids = [sorted({getattr(row, axis) for row in rows}) for axis in ("m", "s", "seed")]
    for axis in ("n", "d"):
        varies = any(len({getattr(row, axis) for row in own} - {None}) > 1 for own in variants)
        grids.append(sorted({value for row in rows if (value := getattr(row, axis)) is not None}) if varies else [None])
    return tuple(grids)


def _metric(rows: list[Row], figure: FigureSpec, path: Path) -> str:
    """Metric of the first finished row, or else of a figure that names none; all rows must have a known one."""
    names, known = [row.metric for row in rows if row.status == "ok"] or [figure.metric], task_metrics()
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise InputError(f"{path}: unknown metric '{unknown}'; known are {', '.join(known)}")
    return names[0]


def _check_metric(panel: PanelTable, score: str, path: Path) -> None:
    """Every row must have a metric of tasks; of a measure, which some methods report, one row is enough."""
    known = [row for row in panel.rows.values() if finite_number(row) is not None]
    without = [row for row in known if finite_number(row, score) is None and word(row, score) is None]
    if without if metric(score).always else known and len(without) == len(known):
        measures = ", ".join(dict.fromkeys(name for row in known for name in row.measures))
        has = without[0].metric + (f" and the measures {measures}" if measures else "")
        raise InputError(
            f"{path}: the figure shows {score}, but the rows of panel '{panel.name}' have {has}; "
            "set the figure's or the panel's metric"
        )


def _panel(
    names: tuple[str, str], here: list[Point], scale: tuple[str, tuple[float, float] | None], rows: dict[RowKey, Row]
) -> PanelTable:
    def axis(values: Iterable[Any]) -> list[Any]:
        return sorted(set(values))

    (name, title), (shown, limits) = names, scale
    keys = [RowKey(name, p.label, p.m, p.s, p.seed, p.n, p.d) for p in here]
    return PanelTable(
        name=name,
        title=title,
        methods=list(dict.fromkeys(p.label for p in here)),
        m=axis(p.m for p in here),
        s=axis(p.s for p in here),
        seeds=axis(p.seed for p in here),
        metric=shown,
        limits=limits,
        rows={key: rows[key] for key in keys if key in rows},
        n=axis(p.n for p in here),
        d=axis(p.d for p in here),
        own_seeds={label: axis(p.seed for p in here if p.label == label) for label in {p.label for p in here}},
    )


def _note(profile: str, panels: Sequence[PanelTable]) -> str:
    """Profile, samples and seeds of a panel, for the reader of the figure."""
    samples = sorted({row.n for panel in panels for row in panel.rows.values() if row.n is not None})
    counts = sorted({len({row.seed for row in panel.rows.values()}) for panel in panels if panel.rows} or {0})
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    told = [profile] if profile else []
    told += [f"n = {samples[0]}"] if len(samples) == 1 else []
    return ", ".join([*told, f"mean over {seeds} seeds" if counts != [1] else "one seed"])
