"""Share of seeds that succeed against the samples, with Wilson intervals: a phase transition."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.analysis.scaling import wilson
from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.lines import Line, lines, log_ticks, style
from mlpiht_cli.figures.table import FigureTable, Look

PANELS_PER_ROW = 3


def success(data: FigureTable, look: Look) -> Figure:
    """Share of the seeds whose metric reaches the level, against ``n / (s log d)``; axes for each panel.

    Each panel varies n, and the figure gives the level. Where less of the metric is better, or with ``falling``, a seed
    at or below the level succeeds. Bands are 95 % Wilson intervals. A run that failed or diverged counts as no success;
    places without all seeds are left out.

    Raises
    ------
    InputError
        The figure has no level, or a panel does not vary n.
    """
    level = data.spec.level
    if level is None:
        raise InputError("figure.level is missing: success is a metric that reaches the level")
    columns = min(PANELS_PER_ROW, len(data.panels))
    rows = math.ceil(len(data.panels) / columns)
    figure = Figure(figsize=(3.8 * columns + 0.6, 3.2 * rows + 0.8), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes in grid[len(data.panels) :]:
        axes.remove()
    styles: dict[str, dict[str, str]] = {}
    for axes, panel in zip(grid, data.panels, strict=False):
        if None in panel.n:
            raise InputError(f"panel '{panel.name}' does not vary n, which success is drawn against")
        ticks = [x for line in lines(panel, "n") for x in _draw(axes, line, data, styles)]
        if ticks:
            log_ticks(axes, ticks, room=7)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("samples n / (s log d)")
        axes.set_title(panel.title, fontsize=10, parse_math=False)
        axes.grid(color="0.9", linewidth=0.6)
    sign = "≤" if data.falling else "≥"
    grid[0].set_ylabel(f"share of seeds with {data.panels[0].facts.label} {sign} {level:g}")
    handles = {str(one.get_label()): one for axes in figure.axes for one in axes.lines}
    figure.legend(handles=[*handles.values()], loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if not look.paper:
        note = data.note.replace("mean over", "95 % Wilson intervals over")
        figure.suptitle(f"{data.title}\n{note}", fontsize=10, parse_math=False)
    return figure


def _draw(axes: Axes, line: Line, data: FigureTable, styles: dict[str, dict[str, str]]) -> list[float]:
    """Draw a line, and return its x values."""
    label = ", ".join(line.words(data)) or line.panel.title
    look = styles.setdefault(label, style(len(styles)))
    points = []
    for n in line.panel.n:
        rows = line.at(n)
        dims = {row.d for row in rows if row.d is not None}
        if n is not None and dims and len(rows) == len(line.every(n)):
            hits = sum(_reaches(finite_number(row, line.panel.metric), data) for row in rows)
            x = n / ((line.fixed["s"] or 1) * math.log(dims.pop()))
            points.append((x, hits / len(rows), *wilson(hits, len(rows))))
    if not points:
        return []
    x, share, low, high = np.array(points).T
    axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axes.plot(x, share, markersize=4, label=label, **look)  # type: ignore[arg-type]
    return [float(value) for value in x]


def _reaches(value: float | None, data: FigureTable) -> bool:
    level = data.spec.level
    if value is None or level is None:
        return False
    return value <= level if data.falling else value >= level
