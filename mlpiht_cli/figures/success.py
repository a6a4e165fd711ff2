"""Share of seeds that succeed against the samples or a setting, with Wilson intervals: a phase transition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.analysis.scaling import wilson
from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.lines import LINE_AXES, even_ticks, lines, look_numbers, power_ticks, style
from mlpiht_cli.figures.setting import AT, line_names, place_of, setting_label
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable
from mlpiht_cli.records.rows import Row

PANELS_PER_ROW = 3


@dataclass(frozen=True)
class Share:
    """Seeds that succeed among those that ran."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share, from 0 to 1."""
        return self.hits / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the share (95 %)."""
        return wilson(self.hits, self.total)


Points = list[tuple[float | None, Share]]
"""Shares of a line by their x; None is across the figure."""


def success(data: FigureTable, look: Look) -> Figure:
    """Share of the seeds whose metric reaches the level, against ``n / (s log d)``; axes for each panel, of one scale.

    With ``setting``, the share is drawn against that setting of the method, from points with the labels ``name @
    anything`` as in ``setting``; other methods are horizontal lines. Otherwise each panel varies n. The figure gives
    the level. Where less of the metric is better, or with ``falling``, a seed at or below the level succeeds. Bands are
    95 % Wilson intervals. A run that failed or diverged counts as no success; places with a skipped seed, or without
    all seeds, are left out.

    Raises
    ------
    InputError
        The figure has no level, a panel does not vary n, or a method with an ``@`` has no such setting.
    """
    if data.spec.level is None:
        raise InputError("figure.level is missing: success is a metric that reaches the level")
    columns = min(PANELS_PER_ROW, len(data.panels))
    rows = math.ceil(len(data.panels) / columns)
    figure = Figure(figsize=(3.8 * columns + 0.6, 3.2 * rows + 0.8), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for axes in grid[len(data.panels) :]:
        axes.remove()
    over, ticks = _over_samples if data.spec.setting is None else _over_setting, list[float]()
    every = [over(panel, data) for panel in data.panels]
    numbers = look_numbers((label for found in every for label in found), data)
    for axes, panel, found in zip(grid, data.panels, every, strict=False):
        for label, points in found.items():
            _draw(axes, label, points, style(numbers[label]))
        ticks += [x for points in found.values() for x, _ in points if x is not None]
        axes.tick_params(axis="x", labelbottom=True, labelsize=8)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("samples n / (s log d)" if data.spec.setting is None else setting_label(data))
        axes.set_title(panel.title, fontsize=10, parse_math=False)
        axes.grid(color="0.9", linewidth=0.6)
    if ticks:
        power_ticks(grid[0], ticks) if data.spec.setting is None else even_ticks(grid[0], ticks, room=7)
    grid[0].set_ylabel(share_label(data))
    handles = {str(one.get_label()): one for axes in figure.axes for one in axes.lines}
    figure.legend(handles=[*handles.values()], loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if not look.paper:
        figure.suptitle(f"{data.title}\n{share_note(data)}", fontsize=10, parse_math=False)
    return figure


def share_label(data: FigureTable) -> str:
    """Label of an axis of shares: which seeds succeed."""
    panel, level = data.panels[0], data.spec.level
    if panel.metric == "exact" and level == 1:
        return "share of seeds with exact recovery"
    return f"share of seeds with {panel.facts.label} {'≤' if data.falling else '≥'} {level:g}"


def share_note(data: FigureTable) -> str:
    """The note of a figure of shares."""
    return data.note.replace("mean over", "95 % Wilson intervals over")


def share_of(rows: Sequence[Row | None], panel: PanelTable, data: FigureTable) -> Share | None:
    """Share of the seeds that reach the level of the figure; None where a row is missing or skipped."""
    there = [row for row in rows if row is not None and row.status != "skipped"]
    if len(there) < len(rows) or not rows:
        return None
    return Share(sum(_reaches(finite_number(row, panel.metric), data) for row in there), len(there))


def _over_samples(panel: PanelTable, data: FigureTable) -> dict[str, Points]:
    """Points of each line against the samples, in units of s log d."""
    if None in panel.n:
        raise InputError(f"panel '{panel.name}' does not vary n, which success is drawn against")
    found: dict[str, Points] = {}
    for line in lines(panel, "n"):
        points = found.setdefault(", ".join(line.words(data)) or panel.title, [])
        for n in panel.n:
            dims = {row.d for row in line.at(n) if row.d is not None}
            share = share_of(line.every(n), panel, data)
            if n is not None and dims and share is not None:
                points.append((n / ((line.fixed["s"] or 1) * math.log(dims.pop())), share))
    return found


def _over_setting(panel: PanelTable, data: FigureTable) -> dict[str, Points]:
    """Points of each line against the figure's setting; a line for each method and each value of the axes."""
    found: dict[str, Points] = {}
    several = len(line_names(data.methods)) > 1
    varied = [axis for axis in LINE_AXES if len(getattr(panel, axis)) > 1]
    for line in lines(panel, "s"):
        for s in panel.s:
            at = {**line.fixed, "s": s}
            words = [line.method.partition(AT)[0]] if several else []
            label = ", ".join([*words, *(f"{axis} = {at[axis]}" for axis in varied)]) or panel.title
            share, rows = share_of(line.every(s), panel, data), line.at(s)
            if share is not None:
                x = place_of(rows[0], line.method, data.spec.setting or "")
                found.setdefault(label, []).append((x, share))
    return found


def _draw(axes: Axes, label: str, points: Points, look: dict[str, str]) -> None:
    along = sorted((x, one.value, *one.interval) for x, one in points if x is not None)
    if along:
        x, share, low, high = zip(*along, strict=True)
        axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(x, share, markersize=4, label=label, **look)  # type: ignore[arg-type]
    for across in (one.value for x, one in points if x is None):
        axes.axhline(across, color=look["color"], linestyle=look["linestyle"], label=label)


def _reaches(value: float | None, data: FigureTable) -> bool:
    level = data.spec.level
    if value is None or level is None:
        return False
    return value <= level if data.falling else value >= level
