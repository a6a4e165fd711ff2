"""Curves of the metric over one axis of the grid: a line for each value of the others, with the range over seeds."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.analysis.scores import finite_numbers
from mlpiht_cli.figures.lines import AXIS_NAMES, Line, Scores, limit_scores, lines, log_ticks, mark_chance, mark_cut
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable
from mlpiht_cli.specs.figure import LineAxis

CROWDED = 6
"""Lines above which the panels get axes of their own; such axes are larger and paler, with a legend at the right."""
BAND, FAINT = 0.15, 0.07
"""Opacity of bands, and of those of many lines."""
PANELS_PER_ROW = 3
"""Axes in a row, unless a panel has more."""


@dataclass(frozen=True)
class _Group:
    """Lines that share their axes, and the title above."""

    title: str
    lines: list[tuple[str, Line]]
    """Label, maybe empty, and line; panels of one title share their labels."""

    @property
    def panels(self) -> list[PanelTable]:
        """Panel of each line."""
        return [line.panel for _, line in self.lines]


def curve(data: FigureTable, look: Look) -> Figure:
    """Median over the seeds against the axis that the figure names; the band is their range.

    Each score of ``also`` is a further line in the same axes, without a band. The labels of scores are cut at a comma:
    the axis has the part that they share, and the legend the part that tells them apart. All panels share one pair of
    axes if they have few lines and one metric. Otherwise each panel has its own, and a panel of many lines has several,
    one for each value of an axis. Limits that the metric has by default widen to hold the lines.
    """
    groups = _groups(data)
    columns = _columns(groups)
    keys = dict.fromkeys(_key(label, line, data) for group in groups for label, line in group.lines)
    is_crowded = max(len(group.lines) for group in groups) > CROWDED
    figure, grid = _grid(len(groups), columns, len(keys) if is_crowded else 0)
    for axes, group in zip(grid, groups, strict=True):
        for label, line in group.lines:
            scores, number = Scores.of(line.panel, data), [*keys].index(_key(label, line, data))
            for name, word in scores.words.items():
                words = ", ".join(filter(None, (label, word))) or line.panel.title
                _draw(axes, line, name, scores.style(name, number, len(keys) > 1), words)
        for band in axes.collections:
            band.set_alpha(FAINT if is_crowded else BAND)
        _dress(axes, group, data, room=10 if len(groups) == 1 else 6)
    _share(grid, groups, columns)
    for axes in grid:
        mark_cut(axes)
    _explain(figure, grid, is_crowded)
    if not look.paper:
        title = f"{data.title}\n{data.note.replace('mean over', 'median and range over')}"
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _key(label: str, line: Line, data: FigureTable) -> str:
    """What lines of one look share: their label, or else the panel, unless the scores tell the lines apart."""
    return label or ("" if data.spec.also else line.panel.title)


def _groups(data: FigureTable) -> list[_Group]:
    each = 1 + len(data.spec.also)
    every = [line for panel in data.panels for line in lines(panel, data.spec.x)]
    alone = len(data.panels) == 1
    if len(every) * each <= CROWDED and len({panel.metric for panel in data.panels}) == 1:
        return [_Group("", [(_label(line, data, None, [] if alone else [line.panel.title]), line) for line in every])]
    groups: dict[tuple[str, int | None], _Group] = {}
    for panel in data.panels:
        own = [line for line in every if line.panel is panel]
        facet = own[0].varied[0] if len(own) * each > CROWDED and own[0].varied else None
        for line in own:
            value = None if facet is None else line.fixed[facet]
            place = [] if facet is None else [f"{facet} = {value}"]
            title = ", ".join([*([] if alone else [panel.title]), *place])
            group = groups.setdefault((panel.name, value), _Group(title, []))
            group.lines.append((_label(line, data, facet, []), line))
    return [*groups.values()]


def _label(line: Line, data: FigureTable, said: LineAxis | None, first: list[str]) -> str:
    return ", ".join([*first, *line.words(data, said)])


def _columns(groups: list[_Group]) -> int:
    """Number of axes in a row: those of one panel where all panels have equally many, else a few."""
    counts = Counter(group.panels[0].name for group in groups)
    if len(counts) > 1 and len({*counts.values()}) == 1 and 1 < counts.total() // len(counts) <= 2 * PANELS_PER_ROW:
        return counts.total() // len(counts)
    return min(len(groups), PANELS_PER_ROW)


def _grid(count: int, columns: int, labels: int) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` axes, in rows; larger ones, with room for a legend at the right, for ``labels`` lines."""
    rows = math.ceil(count / columns)
    size = (6.4, 4.2) if count == 1 else (3.6 * columns + 0.6, 3.1 * rows + 0.8)
    if labels:
        size = (4.4 * columns + 2.4, max(4.2 * rows + 0.8, 0.21 * labels + 1.4))
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[count:]:
        axes.remove()
    return figure, grid[:count]


def _dress(axes: Axes, group: _Group, data: FigureTable, room: int) -> None:
    """Axes, ticks, limits and title of a group of lines."""
    x, panel = data.spec.x, group.panels[0]
    log_ticks(axes, [value for one in group.panels for value in getattr(one, x) if value is not None], room)
    axes.set_xlabel(AXIS_NAMES[x])
    axes.set_ylabel(Scores.of(panel, data).axis)
    axes.set_yscale(data.spec.scale)
    limit_scores(axes, panel, data)
    mark_chance(axes, panel)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_title(textwrap.fill(group.title, 40), fontsize=10, parse_math=False)


def _share(grid: list[Axes], groups: list[_Group], columns: int) -> None:
    """Give axes of one metric one scale; if all have it, label only the left and the lower ends of the grid."""
    for metric in {group.panels[0].metric for group in groups}:
        same = [axes for axes, group in zip(grid, groups, strict=True) if group.panels[0].metric == metric]
        low, high = min(axes.get_ylim()[0] for axes in same), max(axes.get_ylim()[1] for axes in same)
        for axes in same:
            axes.set_ylim(low, high)
    if len({group.panels[0].metric for group in groups}) == 1:
        for i, axes in enumerate(grid):
            first, last = i % columns == 0, i + columns >= len(grid)
            axes.tick_params(labelleft=first, labelbottom=last)
            axes.set_ylabel(axes.get_ylabel() if first else "")
            axes.set_xlabel(axes.get_xlabel() if last else "")


def _explain(figure: Figure, grid: list[Axes], is_crowded: bool) -> None:
    """Legend: in the axes, or outside of several and of crowded ones."""
    handles = {str(line.get_label()): line for axes in grid for line in axes.lines}
    if is_crowded:  # long samples of the lines, so that dashes are told apart
        every = [*handles.values()]
        figure.legend(handles=every, loc="outside right center", fontsize=8, frameon=False, handlelength=2.8)
    elif len(grid) > 1:
        columns = min(6, 2 * len(grid), len(handles))
        figure.legend(handles=[*handles.values()], loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    elif handles:
        grid[0].legend(fontsize=8, frameon=False)


def _draw(axes: Axes, line: Line, score: str, look: dict[str, Any], label: str) -> None:
    """Draw the median of a score, with a band if it is the metric."""
    found = {value: finite_numbers(line.at(value), score) for value in getattr(line.panel, line.x)}
    points = {x: values for x, values in found.items() if values}
    if not points:
        return
    low, high, middle = ([float(f(values)) for values in points.values()] for f in (np.min, np.max, np.median))
    if score == line.panel.metric:
        axes.fill_between([*points], low, high, color=look["color"], linewidth=0)
    axes.plot([*points], middle, markersize=4, label=label, **look)
