"""Curves of the metric over the budget s: one line a panel, method and width, with the range over the seeds."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.figures.table import FigureTable, Look, PanelTable, number, unit

# Okabe and Ito's colours, which the colour-blind can tell apart; line styles and markers tell them apart in print.
STYLES = [
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    ("#56B4E9", "-", "v"),
    ("#E69F00", "--", "P"),
]


def curve(data: FigureTable, look: Look) -> Figure:
    """Median over the seeds against s; the band is their range."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    styles = cycle(STYLES)
    lines = [(panel, method, m) for panel in data.panels for method in panel.methods for m in panel.m]
    for panel, method, m in lines:
        words = [panel.title, *([method] if len(data.methods) > 1 else []), *([f"m = {m}"] if len(panel.m) > 1 else [])]
        _draw(axes, panel, (method, m), next(styles), ", ".join(words))
    axes.set_xscale("log")
    ticks = sorted({s for panel in data.panels for s in panel.s})
    axes.set_xticks(ticks, labels=[str(s) for s in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("budget s (nonzero weights)")
    axes.set_ylabel(unit(data.panels[0].metric))
    axes.set_ylim(*data.panels[0].limits)
    axes.grid(color="0.9", linewidth=0.6)
    if axes.lines:
        axes.legend(fontsize=8, frameon=False)
    if not look.paper:
        note = data.note.replace("mean over", "median and range over")
        axes.set_title(f"{data.title}\n{note}", fontsize=10, parse_math=False)
    return figure


def _draw(axes: Axes, panel: PanelTable, at: tuple[str, int], style: tuple[str, str, str], label: str) -> None:
    found = {s: [number(row, panel.metric) for row in panel.at(*at, s) if row] for s in panel.s}
    points = {s: known for s, values in found.items() if (known := [v for v in values if v is not None])}
    if not points:
        return
    colour, line, marker = style
    low, high, middle = ([float(f(values)) for values in points.values()] for f in (np.min, np.max, np.median))
    axes.fill_between([*points], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot([*points], middle, color=colour, linestyle=line, marker=marker, markersize=4, label=label)
