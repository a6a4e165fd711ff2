"""Maps over hidden width m (rows) and budget s (columns): means, their spread over the seeds, and differences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.table import FigureTable, Grid, Look, PanelTable, in_capitals

CMAP = "viridis"  # perceptually uniform, readable for the colour-blind and in grey
SPREAD_CMAP = "cividis"  # likewise, and different from the colours of a mean
DIFFERENCE_CMAP = "PuOr"  # diverging, readable for the colour-blind
CELL = 0.36  # inches
SMALL = 0.27  # inches, of a cell where three maps or more are in a row
IN_A_ROW = 3  # maps of methods side by side
LEAST = 20 / 3  # cells, the least width of a map
PALE = 0.15  # share of the colours that the cells of a nearly blank map of differences use
# Look of a cell without a number: face, hatch and words of the legend.
STATES = {
    "missing": ("white", "////", "no result yet"),
    "skipped": ("0.85", "", "skipped for a seed or more (mlpiht status says why)"),
    "bad": ("white", "xxxx", "failed or diverged"),
    "alone": ("white", "....", "one seed, no spread"),
}


class _Scale(NamedTuple):
    """Colours of a map: name of the colour map, label of the bar, limits, and which ends of the bar are open."""

    cmap: str
    label: str
    low: float
    high: float
    extend: str


@dataclass(frozen=True)
class _Map:
    """One map: values and states over the grid of a panel; maps of one scale share a colour bar."""

    title: str
    panel: PanelTable
    values: NDArray[np.float64]
    state: NDArray[np.str_]
    scale: _Scale


def heatmap(data: FigureTable, look: Look) -> Figure:
    """Mean over the seeds with the colour limits of the spec: a row for each method, a column for each panel.

    Where each method has one panel, the methods are side by side.
    """
    return _maps(data, look, _means(data, look, {panel.name: panel.span for panel in data.panels}))


def fitted(data: FigureTable, look: Look) -> Figure:
    """As ``heatmap``, with colour limits that the means use: all but exact ones and the largest tenth.

    Means that are exact recovery have the colour of the open end of the bar. Panels of one metric share their limits.
    """
    values: dict[str, list[float]] = {}
    for panel in data.panels:
        for method in panel.methods:
            found = panel.grid(method, look.partial).mean
            values.setdefault(panel.metric, []).extend(x for x in found.ravel().tolist() if math.isfinite(x))
    spans = {panel.name: _middle(values[panel.metric], panel) for panel in data.panels}
    return _maps(replace(data, note=f"colours fit the values; {data.note}"), look, _means(data, look, spans))


def _middle(values: Sequence[float], panel: PanelTable) -> tuple[float, float]:
    """Limits of the means that are not exact, without the largest tenth; the panel's own if these are one value."""
    short = [x for x in values if not panel.facts.is_exact(x)]
    low, high = (min(short), float(np.quantile(short, 0.9))) if short else panel.span
    return (low, high) if low < high else panel.span


def _means(data: FigureTable, look: Look, spans: Mapping[str, tuple[float, float]]) -> list[list[_Map | None]]:
    """Rows of the means of each method, with limits by panel."""
    rows: list[list[_Map | None]] = [
        [
            _mean(data, panel, method, look, spans[panel.name]) if method in panel.methods else None
            for panel in data.panels
        ]
        for method in data.methods
    ]
    return _side_by_side(rows)


def _side_by_side(rows: list[list[_Map | None]]) -> list[list[_Map | None]]:
    """Return rows of up to three maps where each row has one map; other rows as they are."""
    maps = [[one for one in row if one is not None] for row in rows]
    if any(len(row) != 1 for row in maps):
        return rows
    flat: list[_Map | None] = [row[0] for row in maps]
    width = math.ceil(len(flat) / math.ceil(len(flat) / IN_A_ROW))
    flat += [None] * (-len(flat) % width)
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def spread(data: FigureTable, look: Look) -> Figure:
    """Standard deviation over the seeds (top) and mean (bottom), as in Figures 6 to 10 of the paper.

    ``sqrt(mean((x - mean x)^2))``, of these seeds and not of a population; none where there is one seed.
    """
    columns = [(panel, method) for panel in data.panels for method in panel.methods]
    grids = [panel.grid(method, look.partial) for panel, method in columns]
    tops: dict[str, float] = {}
    for (panel, _), grid in zip(columns, grids, strict=True):
        here = grid.std[np.isfinite(grid.std)]
        tops[panel.metric] = max(tops.get(panel.metric, 1e-3), *here, 0.0)
    upper = [
        _Map(f"std, {title_of(method, panel, data)}", panel, grid.std, _spread_state(grid), _spread_scale(panel, tops))
        for (panel, method), grid in zip(columns, grids, strict=True)
    ]
    note = data.note.replace("mean over", "standard deviation and mean over")
    lower = [_mean(data, panel, method, look, panel.span) for panel, method in columns]
    return _maps(replace(data, note=note), look, [[*upper], [*lower]])


def _spread_state(grid: Grid) -> NDArray[np.str_]:
    return np.where((grid.state == "ok") & np.isnan(grid.std), "alone", grid.state)


def _spread_scale(panel: PanelTable, tops: dict[str, float]) -> _Scale:
    label = f"std of {panel.facts.label}, square-root scale"
    return _Scale(SPREAD_CMAP, label, low=0.0, high=tops[panel.metric], extend="neither")


def difference(data: FigureTable, look: Look) -> Figure:
    """Mean of the first method minus that of each other one; with ``against``, mean of each other minus that one.

    Colours saturate at half the span of the colour limits.
    """
    rows: list[list[_Map | None]] = []
    for first, other in _pairs(data):
        row: list[_Map | None] = []
        for panel in data.panels:
            if not {first, other} <= set(panel.methods):
                row.append(None)
                continue
            a, b = panel.grid(first, look.partial, other), panel.grid(other, look.partial, first)
            half = (panel.span[1] - panel.span[0]) / 2
            label = f"difference in {panel.facts.label}"
            scale = _Scale(DIFFERENCE_CMAP, label, low=-half, high=half, extend="both")
            state = np.where(a.state == "ok", b.state, a.state)
            title = f"{in_capitals(first)} minus {in_capitals(other)}"
            title = f"{title}: {panel.title}" if len(data.panels) > 1 or panel.title else title
            row.append(_Map(title, panel, a.mean - b.mean, state, scale))
        rows.append(row)
    return _maps(data, look, rows)


def _pairs(data: FigureTable) -> list[tuple[str, str]]:
    """Pairs of labels: the second method is subtracted from the first."""
    first, against, methods = data.methods[0], data.spec.against, data.methods
    if len(methods) < 2:
        raise InputError(f"a difference map needs two methods, {data.name} has {len(methods)}")
    if against is None:
        return [(first, other) for other in methods[1:]]
    return [(method, against) for method in methods if method != against]


def title_of(method: str, panel: PanelTable, data: FigureTable) -> str:
    """Title of the map of a method in a panel."""
    return f"{in_capitals(method)}: {panel.title}" if len(data.panels) > 1 or panel.title else in_capitals(method)


def _mean(data: FigureTable, panel: PanelTable, method: str, look: Look, span: tuple[float, float]) -> _Map:
    grid = panel.grid(method, look.partial)
    low, high = span
    extend = "max" if span != panel.span else "min" if panel.facts.bounded else "both"
    scale = _Scale(CMAP, panel.label, low=low, high=high, extend=extend)
    return _Map(title_of(method, panel, data), panel, grid.mean, grid.state, scale)


def _maps(data: FigureTable, look: Look, rows: Sequence[Sequence[_Map | None]]) -> Figure:
    """Draw rows of maps, with one colour bar for each scale."""
    panels = [next(one for one in column if one is not None).panel for column in zip(*rows, strict=True)]
    cell = CELL if len(panels) < 3 else SMALL
    widths = [cell * max(LEAST, len(panel.s)) for panel in panels]
    height = max(2.0, cell * max(len(panel.m) for panel in panels))
    size = (sum(widths) + 1.1 * len(panels) + 0.8, (height + 0.85) * len(rows) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(panels), squeeze=False, width_ratios=widths)
    bars: dict[_Scale, tuple[AxesImage, list[Axes]]] = {}
    states: set[str] = set()
    for i, row in enumerate(rows):
        for j, one in enumerate(row):
            if one is None:
                axes[i, j].set_axis_off()
                continue
            states |= set(one.state.flatten())
            image = _draw(axes[i, j], one, look, cell)
            bars.setdefault(one.scale, (image, []))[1].append(axes[i, j])
    for scale, (image, own) in bars.items():
        rows_spanned = len({axis.get_subplotspec().rowspan.start for axis in own})  # type: ignore[union-attr]
        bar = figure.colorbar(image, ax=own, extend=scale.extend, shrink=0.9, pad=0.02, aspect=16 * rows_spanned)
        bar.set_label(scale.label)
    if not look.paper:
        seeds = " that have results" if look.partial else ""
        figure.suptitle(f"{data.title}\n{data.note}{seeds}", fontsize=11, parse_math=False)
    explain(figure, [], states)
    return figure


def _norm(scale: _Scale) -> Normalize:
    """Square root for a spread, which is small except where seeds fall on both sides of exact recovery."""
    return PowerNorm(0.5, scale.low, scale.high) if scale.cmap == SPREAD_CMAP else Normalize(scale.low, scale.high)


def _draw(axes: Axes, one: _Map, look: Look, cell: float) -> AxesImage:
    panel, scale = one.panel, one.scale
    norm = _norm(scale)
    image = axes.imshow(one.values, cmap=mpl.colormaps[scale.cmap], norm=norm, aspect="auto", interpolation="none")
    dress(axes, panel, one.title, cell)
    pale = _is_pale(one)
    for place, state in np.ndenumerate(one.state):
        if state in STATES:
            mark(axes, place, str(state))
        elif look.annotate or pale:
            _write(axes, place, one, digits=1 if pale else 0)
    return image


def _is_pale(one: _Map) -> bool:
    """Whether a map of differences is nearly blank, so that only numbers tell its cells apart."""
    found = one.values[np.isfinite(one.values)]
    return one.scale.cmap == DIFFERENCE_CMAP and found.size > 0 and float(np.abs(found).max()) < PALE * one.scale.high


def dress(axes: Axes, panel: PanelTable, title: str, cell: float = CELL) -> None:
    """Title, labels and ticks of a map over m and s; ``cell`` is the width of a cell in inches."""
    room = int(cell * max(LEAST, len(panel.s)) / 0.082)  # characters of a title above the map
    axes.set_title(textwrap.fill(title, room), fontsize=10, parse_math=False)
    axes.set_xticks(range(len(panel.s)), labels=[str(s) for s in panel.s], fontsize=8, rotation=45)
    axes.set_yticks(range(len(panel.m)), labels=[str(m) for m in panel.m], fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("budget s (nonzero weights)", fontsize=9)
    axes.set_ylabel("hidden width m", fontsize=9)


def mark(axes: Axes, place: tuple[int, ...], state: str) -> None:
    """Mark a cell, in row i and column j of a map, that has no value."""
    (i, j), (face, hatch, _) = place, STATES[state]
    axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, edgecolor="0.6", hatch=hatch, linewidth=0))
    if state == "skipped":
        axes.text(j, i, "–", ha="center", va="center", color="0.3", fontsize=8)  # noqa: RUF001


def _write(axes: Axes, place: tuple[int, ...], one: _Map, digits: int) -> None:
    """Write the value in a colour that contrasts with its cell."""
    value, scale = float(one.values[place]), one.scale
    red, green, blue, _ = mpl.colormaps[scale.cmap](_norm(scale)(value))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    digits = max(digits, 2 if scale.high <= 1 else 0)
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # no minus in front of 0
    axes.text(place[1], place[0], text, ha="center", va="center", fontsize=6, color="white" if dark else "black")


def explain(figure: Figure, handles: Sequence[Patch], states: set[str]) -> None:
    """A legend with some handles, and with the marks that the maps have."""
    marks = [
        Patch(facecolor=face, hatch=hatch, edgecolor="0.6", label=words)
        for state, (face, hatch, words) in STATES.items()
        if state in states
    ]
    every = [*handles, *marks]
    if every:
        figure.legend(handles=every, loc="outside lower center", ncols=min(len(every), 4), fontsize=8, frameon=False)
