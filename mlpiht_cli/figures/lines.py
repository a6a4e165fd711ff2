"""Lines over one axis of the grid: which there are, their labels and their look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from matplotlib.axes import Axes

from mlpiht_cli.figures.table import FigureTable, PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import LineAxis

# Okabe and Ito's colours differ for the colour-blind as well; line styles and markers differ in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "black")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINE_AXES: tuple[LineAxis, ...] = ("d", "n", "m", "s")
AXIS_NAMES: dict[LineAxis, str] = {
    "s": "budget s (nonzero weights)",
    "n": "samples n",
    "d": "features d",
    "m": "hidden width m",
}


def style(number: int) -> dict[str, str]:
    """Colour, dashes and marker of a line by its number; the combinations repeat after 84."""
    dash = DASHES[number % len(DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dash, "marker": MARKERS[number % len(MARKERS)]}


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


def log_ticks(axes: Axes, values: Sequence[float], room: int = 10) -> None:
    """Make the x axis logarithmic with ticks at values of the grid, at most ``room`` of them."""
    axes.set_xscale("log")
    ticks = sorted(set(values), reverse=True)
    ticks = ticks[:: -(-len(ticks) // room)]
    labels = [f"{tick:.0f}" if float(tick).is_integer() else f"{tick:.3g}" for tick in ticks]
    axes.set_xticks(ticks, labels=labels, fontsize=8)
    axes.minorticks_off()
