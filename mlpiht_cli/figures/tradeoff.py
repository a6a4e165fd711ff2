"""The metric against what it costs: a point for each method, the medians of the metric and of another score."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.core.metric import metric
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.lines import LINE_AXES, limit_scores, look_numbers, style
from mlpiht_cli.figures.swarm import sideways
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable
from mlpiht_cli.specs.figure import LineAxis

PANELS_PER_ROW = 3
MARKER = 8.0
"""Size of a point, in 1/72 inch."""
FEW_DECADES = 1.7
"""Logarithm of the range up to which an axis has ticks at 1, 2 and 5 in each decade, not at powers of ten alone."""


@dataclass(frozen=True)
class Place:
    """A grid point of a panel, with axes of its own."""

    panel: PanelTable
    at: dict[LineAxis, int | None]

    @classmethod
    def every(cls, panel: PanelTable) -> list[Place]:
        """Places of a panel, in the order of its grid."""
        return [
            cls(panel, dict(zip(LINE_AXES, values, strict=True)))
            for values in product(*(getattr(panel, axis) for axis in LINE_AXES))
        ]

    @property
    def words(self) -> str:
        """Values of the axes that the panel varies."""
        return ", ".join(f"{axis} = {value}" for axis, value in self.at.items() if len(getattr(self.panel, axis)) > 1)

    def pairs(self, method: str, score: str) -> tuple[list[tuple[float, float]], int]:
        """The other score and the metric of each seed that has both, and the number of all seeds."""
        rows = self.panel.at(method, self.at["m"] or 0, self.at["s"] or 0, (self.at["n"], self.at["d"]))
        both = [(finite_number(row, score), finite_number(row, self.panel.metric)) for row in rows if row is not None]
        return [(x, y) for x, y in both if x is not None and y is not None], len(rows)


def tradeoff(data: FigureTable, look: Look) -> Figure:
    """Median over the seeds against the median of the score that ``against_score`` names, a point for each method.

    Bars are the range over the seeds in both directions; the horizontal axis is logarithmic (linear below the least
    positive value if there is a 0), and the same everywhere. Points that would hide each other stand side by side, with
    their bars. Each panel, and each m, s, n and d that it varies, has axes of its own. A hollow point lacks a seed,
    which diverged, failed, was skipped or is missing; methods without any point are named.

    Raises
    ------
    InputError
        The figure names no other score.
    """
    score = data.spec.against_score
    if score is None:
        raise InputError("figure.against_score is missing: the score that the metric is drawn against, such as passes")
    places = [place for panel in data.panels for place in Place.every(panel)]
    rows = math.ceil(len(places) / PANELS_PER_ROW)
    columns = math.ceil(len(places) / rows)
    height = max(3.3 * rows + 0.7, 0.21 * len(data.methods) + 1.4)  # the legend stands at the right, below the title
    figure = Figure(figsize=(3.7 * columns + 2.4, height), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True).flat)
    for axes in grid[len(places) :]:
        axes.remove()
    xs = list[float]()
    for axes, place in zip(grid, places, strict=False):
        xs += _draw(axes, place, score, data)
        _dress(axes, place, score, data)
    if xs:
        grid[0].margins(x=0.1)
        _log_scale(grid[0], xs)
    _legend(figure, data)
    _entitle(figure, data, look, 0)
    _entitle(figure, data, look, _part(figure, grid[: len(places)]))
    return figure


def _draw(axes: Axes, place: Place, score: str, data: FigureTable) -> list[float]:
    """Draw the points of one place, and name the methods that have none; return the values of all seeds."""
    absent, xs, numbers = [], list[float](), look_numbers(data.methods, data)
    for method in place.panel.methods:
        pairs, seeds = place.pairs(method, score)
        if not pairs:
            absent.append(method)
            continue
        values = np.array(pairs)
        (x, y), low, high = np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
        look, xs = style(numbers[method]), [*xs, *values[:, 0].tolist()]
        left, up = [[x - low[0]], [high[0] - x]], [[y - low[1]], [high[1] - y]]
        bars = axes.errorbar(x, y, up, left, fmt="none", ecolor=look["color"], elinewidth=1, alpha=0.6)
        bars.set_label(method)
        face, edge = (look["color"], "white") if len(pairs) == seeds else ("white", look["color"])
        (point,) = axes.plot(x, y, look["marker"], color=look["color"], markersize=MARKER, label=method, zorder=3)
        point.set(markerfacecolor=face, markeredgecolor=edge)
    if absent:
        text = textwrap.fill(f"without a point: {', '.join(absent)}", 44)
        axes.annotate(text, (0.02, 0.02), xycoords="axes fraction", fontsize=7, color="0.35", parse_math=False)
    return xs


def _log_scale(axes: Axes, xs: list[float]) -> None:
    least = min((x for x in xs if x > 0), default=1.0)
    if min(xs) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(LogLocator(subs=range(2, 10)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        if math.log10(max(xs) / least) < FEW_DECADES:
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.set_xscale("symlog", linthresh=least, linscale=0.4)


def _part(figure: Figure, grid: Sequence[Axes]) -> int:
    """Move points that would hide each other apart, once the layout is known; return how many move."""
    figure.draw_without_rendering()
    count = 0
    for axes in grid:
        places = [tuple(axes.transData.transform(line.get_xydata())[0]) for line in axes.lines]
        bars = {str(one.get_label()): one.lines[2] for one in axes.containers if isinstance(one, ErrorbarContainer)}
        moves = sideways(places, MARKER * figure.dpi / 72)
        count += sum(map(bool, moves))
        for line, move in zip(axes.lines, moves, strict=True):
            shifted = axes.transData + ScaledTranslation(move / figure.dpi, 0, figure.dpi_scale_trans)
            for part in [line, *bars[str(line.get_label())]]:
                part.set_transform(shifted)
    return count


def _dress(axes: Axes, place: Place, score: str, data: FigureTable) -> None:
    panel = place.panel
    axes.set_xlabel(metric(score).label)
    axes.tick_params(labelbottom=True)
    axes.set_ylabel(panel.label)
    axes.set_yscale(data.spec.scale)
    limit_scores(axes, panel, data)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    title = ", ".join(filter(None, [panel.title if len(data.panels) > 1 else "", place.words]))
    axes.set_title(textwrap.fill(title, 40), fontsize=10, parse_math=False)


def _legend(figure: Figure, data: FigureTable) -> None:
    """Legend of the methods at the right."""
    found = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    looks = {name: style(i) for name, i in look_numbers(data.methods, data).items() if name in found}
    handles = [
        Line2D([], [], linestyle="", marker=one["marker"], color=one["color"], markersize=7, label=name)
        for name, one in looks.items()
    ]
    if any(line.get_markerfacecolor() == "white" for axes in figure.axes for line in axes.lines):
        hollow = {"marker": "o", "color": "0.35", "markerfacecolor": "white", "markersize": 7}
        handles.append(Line2D([], [], linestyle="", label="lacks a seed", **hollow))  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="outside right center", fontsize=8, frameon=False)


def _entitle(figure: Figure, data: FigureTable, look: Look, moved: int) -> None:
    """The title, and whether points are moved."""
    if not look.paper:
        note = data.note.replace("mean over", "median and range over")
        note += "; points that would hide each other stand side by side" if moved else ""
        figure.suptitle(f"{data.title}\n{note}", fontsize=10, parse_math=False)
