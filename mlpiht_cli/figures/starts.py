"""Every start of a method as a point over the budget s, and methods with a single run as lines."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from mlpiht_cli.analysis.scores import finite_number, least_first
from mlpiht_cli.figures.lines import COLOURS, mark_cut
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable

PANELS_PER_ROW = 5
SPREAD = 0.3
"""Half the width over which the points of one budget are spread, in places."""
YARDSTICK_DASHES = ("--", ":", "-.")


def starts(data: FigureTable, look: Look) -> Figure:
    """Points and median of all seeds of each method, and its best seed; a line for a method with one seed.

    Panels stand in rows, and budgets at equal distances. The best start has the least training loss, for every metric
    shown, as a choice by test data would be unfair.
    """
    columns = min(PANELS_PER_ROW, len(data.panels))
    rows = -(-len(data.panels) // columns)
    figure = Figure(figsize=(2.5 * columns + 0.8, 2.3 * rows + 1.0), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(data.panels) :]:
        axes.remove()
    for place, panel in enumerate(data.panels):
        axes = grid.flat[place]
        _draw(axes, panel)
        axes.set_title(panel.title, fontsize=9, parse_math=False)
        axes.set_yscale(data.spec.scale)
        if panel.limits is not None:
            axes.set_ylim(*panel.limits)
            mark_cut(axes)
        if data.spec.scale == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        if place % columns == 0:
            axes.set_ylabel(panel.facts.label, fontsize=9)
        if place + columns >= len(data.panels):
            axes.set_xlabel("budget s (nonzero weights)", fontsize=8)
    handles = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    figure.legend(handles=[*handles.values()], loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    if not look.paper:
        figure.suptitle(f"{data.title}\n{data.note.replace('mean over', 'all')}", fontsize=10, parse_math=False)
    return figure


def _draw(axes: Axes, panel: PanelTable) -> None:
    dashes = iter(YARDSTICK_DASHES * len(panel.methods))
    for method, colour in zip(panel.methods, COLOURS * len(panel.methods), strict=False):
        runs = [_runs(panel, method, s) for s in panel.s]
        places = [place for place, here in enumerate(runs) if here]
        known = [[value for value, _ in here] for here in runs if here]
        if max(map(len, known), default=0) > 1:
            for place, here in zip(places, known, strict=True):
                spread = place + SPREAD * np.linspace(-1, 1, len(here))
                axes.plot(spread, here, ".", color=colour, alpha=0.35, markersize=3, label=f"{method}, every start")
            middle = [float(np.median(here)) for here in known]
            axes.plot(places, middle, color=colour, marker="o", markersize=4, label=f"{method}, median")
            best = [min(here, key=lambda run: run[1])[0] for here in runs if here]
            axes.plot(places, best, "*", color="black", markersize=5, label=f"{method}, start of least training loss")
        elif known:
            level = [here[0] for here in known]
            axes.plot(places, level, color=colour, linestyle=next(dashes), linewidth=1.8, zorder=3, label=method)
    axes.set_xticks(range(len(panel.s)), labels=[str(s) for s in panel.s], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.grid(color="0.92", linewidth=0.5)


def _runs(panel: PanelTable, method: str, s: int) -> list[tuple[float, float]]:
    """Value and training loss of every run with the budget ``s``."""
    rows = [row for m in panel.m for size in panel.sizes for row in panel.at(method, m, s, size) if row is not None]
    found = [(finite_number(row, panel.metric), least_first(row, "final_loss")) for row in rows]
    return [(value, loss) for value, loss in found if value is not None]
