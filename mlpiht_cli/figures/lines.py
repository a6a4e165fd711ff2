"""Lines over one axis of the grid: which there are, their labels and their look."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mlpiht_cli.core.metric import metric
from mlpiht_cli.figures.table import FigureTable, PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import LineAxis

# Okabe and Ito's colours differ for the colour-blind as well; line styles and markers differ in print. More of them
# follow, most from Tol's muted scheme, for figures of many methods.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "black"),
    *("#882255", "#999933", "#332288", "#888888", "#44AA99", "#8C510A", "#DDCC77", "#AA4499", "#A6D854", "#F4A582"),
)
Dash = tuple[float, tuple[float, ...]]
"""Offset, and lengths of strokes and gaps."""
DASHES = ("-", "--", "-.", ":")
PATTERNS = {"--": (3.7, 1.6), "-.": (6.4, 1.6, 1.0, 1.6), ":": (1.0, 1.65)}
"""Lengths of strokes and gaps of matplotlib's dashes, in widths of the line."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ROOM = 0.03
"""Share of the height that axes have beyond limits which points lie at, so that their markers are whole."""
LINE_AXES: tuple[LineAxis, ...] = ("d", "n", "m", "s")
AXIS_NAMES: dict[LineAxis, str] = {
    "s": "budget s (nonzero weights)",
    "n": "samples n",
    "d": "features d",
    "m": "hidden width m",
}


def style(number: int) -> dict[str, str]:
    """Colour, dashes and marker of a line by its number; the combinations repeat after 476."""
    dash = DASHES[number % len(DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dash, "marker": MARKERS[number % len(MARKERS)]}


def look_numbers(labels: Iterable[str], data: FigureTable) -> dict[str, int]:
    """Number of the look of each line: its place among the spec's methods, so that the figures of a spec agree.

    Its place among the lines if they are not methods, or if the spec has more methods than there are colours.
    """
    own = list(dict.fromkeys(labels))
    order = [*data.every] if set(own) <= set(data.every) and len(data.every) <= len(COLOURS) else own
    return {label: order.index(label) for label in own}


@dataclass(frozen=True)
class Scores:
    """Scores that lines show in one pair of axes, the metric first.

    Attributes
    ----------
    names
        Names of the scores.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, panel: PanelTable, data: FigureTable) -> Scores:
        """Those of a panel: its metric, and the further scores of the figure."""
        return cls(tuple(dict.fromkeys([panel.metric, *data.spec.also])))

    @property
    def axis(self) -> str:
        """Label of the axis: what the labels of the scores share, the part before the comma."""
        if len(self.names) == 1:
            return self._labels[0]
        return " and ".join(dict.fromkeys(label.partition(", ")[0] for label in self._labels))

    @property
    def words(self) -> dict[str, str]:
        """What tells a line from those of the other scores, by name; empty for a score alone."""
        if len(self.names) == 1:
            return {self.names[0]: ""}
        parts = [label.partition(", ") for label in self._labels]
        short = len({first for first, _, _ in parts}) == 1 and len({rest for _, _, rest in parts}) == len(parts)
        shown = [rest or first for first, _, rest in parts] if short else self._labels
        return dict(zip(self.names, shown, strict=True))

    @property
    def _labels(self) -> list[str]:
        return [metric(name).label for name in self.names]

    def style(self, name: str, number: int, several: bool) -> dict[str, Any]:
        """Look of a score of the line ``number``.

        Of ``several`` lines with several scores each, a colour stands for a line, dashes and marker for a score. Two
        lines at one place are both seen: their dashes take turns.
        """
        i = self.names.index(name)
        if not several or len(self.names) == 1:
            return style(number + i)
        return {**style(i), "color": style(number)["color"], "linestyle": _shifted(style(i)["linestyle"], number)}


def _shifted(dash: str, number: int) -> str | Dash:
    """Dashes of every second line start half a period later: of two lines at one place both are seen."""
    pattern = PATTERNS.get(dash)
    return dash if pattern is None or number % 2 == 0 else (sum(pattern) / 2, pattern)


@dataclass(frozen=True)
class Line:
    """One line of a panel: a method at fixed values of all axes but ``x``."""

    panel: PanelTable
    method: str
    fixed: dict[LineAxis, int | None]
    x: LineAxis

    def every(self, value: int | None) -> list[Row | None]:
        """Rows at one place of the line, one for each seed; None for a missing row."""
        place = {**self.fixed, self.x: value}
        return self.panel.at(self.method, place["m"] or 0, place["s"] or 0, (place["n"], place["d"]))

    def at(self, value: int | None) -> list[Row]:
        """Rows at one place of the line, one for each seed; missing rows are left out."""
        return [row for row in self.every(value) if row is not None]

    @property
    def varied(self) -> list[LineAxis]:
        """Axes other than x that the panel varies."""
        return [axis for axis in self.fixed if len(getattr(self.panel, axis)) > 1]

    def words(self, data: FigureTable, said: LineAxis | None = None) -> list[str]:
        """Parts of the label: the method if there are several, and the axes that the panel varies except ``said``."""
        varied = [f"{axis} = {self.fixed[axis]}" for axis in self.varied if axis != said]
        return [*([self.method] if len(data.methods) > 1 else []), *varied]


def lines(panel: PanelTable, x: LineAxis) -> Iterator[Line]:
    """Lines of a panel over an axis."""
    others = [axis for axis in LINE_AXES if axis != x]
    for method, *values in product(panel.methods, *(getattr(panel, axis) for axis in others)):
        yield Line(panel, method, dict(zip(others, values, strict=True)), x)


def limit_scores(axes: Axes, panel: PanelTable, data: FigureTable) -> None:
    """Give the y axis the limits of the panel; those that its metric has by default widen to hold what is drawn."""
    if panel.limits is None or (data.spec.scale == "log" and panel.limits[0] <= 0):
        return
    low, high = panel.limits
    drawn = [float(y) for line in axes.lines for y in np.atleast_1d(np.asarray(line.get_ydata(), dtype=float))]
    if data.spec.limits is None and panel.limits == panel.facts.limits:
        low, high = min([low, *drawn]), max([high, *drawn])
    room = ROOM * (high - low) if data.spec.scale == "linear" else 0.0
    axes.set_ylim(
        low - room * any(low <= y < low + room for y in drawn),
        high + room * any(high - room < y <= high for y in drawn),
    )


def mark_chance(axes: Axes, panel: PanelTable) -> None:
    """Draw a dotted line at what guessing classes would give, if the axes show it."""
    low, high = axes.get_ylim()
    if panel.chance is not None and low <= panel.chance <= high:
        axes.axhline(panel.chance, color="0.4", linestyle=":", linewidth=1, label="chance")


def mark_cut(axes: Axes) -> None:
    """Mark points above or below the limits by arrows at the edge, in the colour of their lines.

    On a logarithmic scale lines run along the lower edge where they have no place, as at 0.
    """
    low, high = axes.get_ylim()
    for line in list(axes.lines):
        for x, y in np.asarray(line.get_xydata(), dtype=float):
            if y > high or y < low:
                edge, arrow = (high, "^") if y > high else (low, "v")
                axes.scatter(x, edge, 24, marker=arrow, color=line.get_color(), clip_on=False, zorder=5)
        if axes.get_yscale() == "log":
            line.set_ydata(np.maximum(np.asarray(line.get_ydata(), dtype=float), low))


def power_ticks(axes: Axes, values: Sequence[float]) -> None:
    """Make the x axis logarithmic, with ticks at the powers of two among positive values, or at these without any."""
    first, last = (round(f(math.log2(end))) for f, end in ((math.ceil, min(values)), (math.floor, max(values))))
    ticks = [2.0**i for i in range(first, last + 1)] or sorted(set(values))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, labels=[f"{tick:.3g}" for tick in ticks], fontsize=8)
    axes.minorticks_off()


def log_ticks(axes: Axes, values: Sequence[float], room: int = 10, least: float | None = None) -> None:
    """Make the x axis logarithmic, with ticks at ``room`` values of the grid or fewer; linear below ``least``."""
    if least is None:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=least, linscale=0.4)
        axes.set_xlim(-0.4 * least, 1.2 * max(values))
    ticks = sorted(set(values), reverse=True)
    ticks = ticks[:: -(-len(ticks) // room)]
    labels = [f"{tick:.0f}" if float(tick).is_integer() else f"{tick:.3g}" for tick in ticks]
    axes.set_xticks(ticks, labels=labels, fontsize=8)
    axes.minorticks_off()


def even_ticks(axes: Axes, values: Sequence[float], room: int = 10) -> None:
    """Give the x axis the scale on which the values stand most evenly, with ticks at values of the grid.

    Linear, or logarithmic; with a 0 among the values the latter is linear up to the least positive one. Logarithmic if
    both are as even; linear with a value below 0.
    """
    xs = np.array(sorted(set(values)), dtype=float)
    positive = xs[xs > 0]
    if not positive.size or xs[0] < 0:
        scales = [xs]
    else:
        least = positive[0]
        scales = [np.where(xs > 0, 1 + np.log(np.maximum(xs, least) / least), 0.0), xs]
    uneven = [np.ptp(np.log(np.diff(scale))) if len(scale) > 2 else 0.0 for scale in scales]
    if len(scales) == 1 or uneven[1] < uneven[0] - 1e-9:
        axes.set_xticks(xs[::-1][:: -(-len(xs) // room)])
        axes.tick_params(axis="x", labelsize=8)
    else:
        log_ticks(axes, [float(x) for x in xs], room, least=float(positive[0]) if xs[0] == 0 else None)
