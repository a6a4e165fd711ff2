"""Curves of the metric over a setting of the method."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.figures.lines import log_ticks, style
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable
from mlpiht_cli.records.rows import Row

AT = " @ "
"""A method with the label ``name @ anything`` is a point of the line ``name``; others are lines across the figure."""


def setting(data: FigureTable, look: Look) -> Figure:
    """Median over the seeds against the setting that the figure names, with a band for their range; axes by budget.

    A method without an ``@`` in its label is a horizontal line at its median.
    """
    places = [(panel, s) for panel in data.panels for s in panel.s]
    figure = Figure(figsize=(3.2 * len(places) + 0.8, 3.6), layout="constrained")
    grid = figure.subplots(1, len(places), squeeze=False, sharey=True)[0]
    for axes, (panel, s) in zip(grid, places, strict=True):
        xs = _draw(axes, panel, s, data.spec.setting or "")
        if xs:
            log_ticks(axes, xs, room=6)
        if data.spec.level is not None:
            axes.axhline(data.spec.level, color="0.4", linewidth=0.8)
        axes.set_yscale(data.spec.scale)
        if panel.limits is not None:
            axes.set_ylim(*panel.limits)
        axes.set_title(f"{panel.title}, s = {s}" if len(data.panels) > 1 else f"s = {s}", fontsize=9, parse_math=False)
        axes.set_xlabel((data.spec.setting or "").replace("_", " "), fontsize=9)
        axes.grid(color="0.92", linewidth=0.5)
    grid[0].set_ylabel(data.panels[0].facts.label, fontsize=9)
    handles = {str(line.get_label()): line for axes in grid for line in axes.lines if str(line.get_label())[0] != "_"}
    if len(handles) > 1:
        figure.legend(handles=[*handles.values()], loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    if not look.paper:
        note = data.note.replace("mean over", "median and range over")
        figure.suptitle(f"{data.title}\n{note}", fontsize=10, parse_math=False)
    return figure


def _draw(axes: Axes, panel: PanelTable, s: int, name: str) -> list[float]:
    """Draw the lines of one budget, and return the values of the setting."""
    found: dict[str, dict[float, list[float]]] = {}
    across: dict[str, list[float]] = {}
    for method in panel.methods:
        rows = [row for m in panel.m for row in panel.at(method, m, s, panel.sizes[0]) if row is not None]
        for row, value in ((row, finite_number(row, panel.metric)) for row in rows):
            x = _setting(row, name) if AT in method else None
            if value is not None and x is not None:
                found.setdefault(method.partition(AT)[0], {}).setdefault(x, []).append(value)
            elif value is not None:
                across.setdefault(method, []).append(value)
    for i, (label, points) in enumerate(found.items()):
        look = style(i)
        xs = sorted(points)
        low, middle, high = ([float(f(points[x])) for x in xs] for f in (np.min, np.median, np.max))
        axes.fill_between(xs, low, high, color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(xs, middle, markersize=4, label=label, **look)  # type: ignore[arg-type]
    for i, (label, values) in enumerate(across.items(), start=len(found)):
        look = style(i)
        axes.axhline(float(np.median(values)), color=look["color"], linestyle=look["linestyle"], label=label)
    return sorted({x for points in found.values() for x in points})


def _setting(row: Row, name: str) -> float | None:
    """A setting of the row's method, where it is a number."""
    method = row.params.get("method")
    value = method.get(name) if isinstance(method, dict) else None
    return float(value) if isinstance(value, int | float) else None
