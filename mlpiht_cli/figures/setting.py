"""Curves of the metric over a setting of the method."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.lines import Scores, even_ticks, mark_cut
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable
from mlpiht_cli.records.rows import Row

PANELS_PER_ROW = 3
AT = " @ "
"""A method with the label ``name @ anything`` is a point of the line ``name``; others are lines across the figure."""


def setting(data: FigureTable, look: Look) -> Figure:
    """Median over the seeds against the setting that the figure names, with a band for their range; axes by budget.

    A method without an ``@`` in its label is a horizontal line at its median. Each score of ``also`` is a further line
    in the same axes, without a band. The axis is linear where the values of the setting are spaced evenly, and
    logarithmic otherwise (linear up to the least positive value if there is a 0).

    Raises
    ------
    InputError
        A method with an ``@`` in its label has no such setting.
    """
    places = [(panel, s) for panel in data.panels for s in panel.s]
    figure, grid, columns = _grid(len(places))
    for axes, (panel, s) in zip(grid, places, strict=True):
        xs = _draw(axes, panel, s, data)
        if xs:
            even_ticks(axes, xs, room=6)
        if data.spec.level is not None:
            axes.axhline(data.spec.level, color="0.4", linewidth=0.8)
        axes.set_yscale(data.spec.scale)
        if panel.limits is not None:
            axes.set_ylim(*panel.limits)
            mark_cut(axes)
        axes.set_title(f"{panel.title}, s = {s}" if len(data.panels) > 1 else f"s = {s}", fontsize=9, parse_math=False)
        axes.set_xlabel(setting_label(data), fontsize=9)
        axes.grid(color="0.92", linewidth=0.5)
    for first in grid[::columns]:
        first.set_ylabel(Scores.of(data.panels[0], data).axis, fontsize=9)
    handles = {str(line.get_label()): line for axes in grid for line in axes.lines if str(line.get_label())[0] != "_"}
    if len(handles) > 1:
        shown, together = [*handles.values()], min(4, 2 * columns)
        figure.legend(handles=shown, loc="outside lower center", ncols=together, fontsize=8, frameon=False)
    if not look.paper:
        note = data.note.replace("mean over", "median and range over")
        figure.suptitle(f"{data.title}\n{note}", fontsize=10, parse_math=False)
    return figure


def _grid(count: int) -> tuple[Figure, list[Axes], int]:
    """A figure with ``count`` axes in rows of equal length, and this length."""
    rows = math.ceil(count / PANELS_PER_ROW)
    columns = math.ceil(count / rows)
    figure = Figure(figsize=(3.2 * columns + 0.8, 2.8 * rows + 0.8), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes in grid[count:]:
        axes.remove()
    return figure, grid[:count], columns


def setting_label(data: FigureTable) -> str:
    """Label of the axis of the figure's setting."""
    return (data.spec.setting or "").replace("_", " ")


def line_names(methods: Sequence[str]) -> list[str]:
    """Names of the lines of some methods: those along the setting first, then those across the figure."""
    along = [method.partition(AT)[0] for method in methods if AT in method]
    return list(dict.fromkeys([*along, *(method for method in methods if AT not in method)]))


def _draw(axes: Axes, panel: PanelTable, s: int, data: FigureTable) -> list[float]:
    """Draw the lines of one budget, and return the values of the setting."""
    scores, every, seen = Scores.of(panel, data), line_names(data.methods), set()
    for label in line_names(panel.methods):
        for name, word in scores.words.items():
            points = _points(panel, s, label, name, data.spec.setting or "")
            look = scores.style(name, every.index(label), len(every) > 1)
            parts = (label if len(every) > 1 or not word else "", word)
            words, along = ", ".join(filter(None, parts)), sorted(x for x in points if x is not None)
            if along:
                low, middle, high = ([float(f(points[x])) for x in along] for f in (np.min, np.median, np.max))
                if name == panel.metric:
                    axes.fill_between(along, low, high, color=look["color"], alpha=0.15, linewidth=0)
                axes.plot(along, middle, markersize=4, label=words, **look)
                seen.update(along)
            if None in points:
                level = float(np.median(points[None]))
                axes.axhline(level, color=look["color"], linestyle=look["linestyle"], label=words)
    return sorted(seen)


def _points(panel: PanelTable, s: int, label: str, score: str, name: str) -> dict[float | None, list[float]]:
    """Values of a score by those of the setting, of the methods of one line; None is across the figure."""
    found: dict[float | None, list[float]] = {}
    for method in panel.methods:
        if method.partition(AT)[0] != label:
            continue
        rows = [row for m in panel.m for row in panel.at(method, m, s, panel.sizes[0]) if row is not None]
        for row, value in ((row, finite_number(row, score)) for row in rows):
            if value is not None:
                found.setdefault(place_of(row, method, name), []).append(value)
    return found


def place_of(row: Row, method: str, name: str) -> float | None:
    """Place on the axis of a row of the method with this label; None for a method across the figure.

    Raises
    ------
    InputError
        The label has an ``@``, and the row's method has no such setting that is a number.
    """
    if AT not in method:
        return None
    own = row.params.get("method")
    value = own.get(name) if isinstance(own, dict) else None
    if not isinstance(value, int | float):
        raise InputError(f"figure.setting: method '{method}' has no setting '{name}' that is a number")
    return float(value)
