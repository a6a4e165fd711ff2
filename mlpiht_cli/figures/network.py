"""Drawing of one network: a dot for each weight, inputs by neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mlpiht_cli.core.formula import Formula

MOST = 60
"""Most rows and most columns of a panel; those that weigh least are left out."""
CELL = 0.25  # inches
DOT = 0.8 * CELL * 72  # points, diameter of the largest dot
UP, DOWN = "#0072B2", "#D55E00"  # Okabe and Ito's blue and vermilion
PLUS, MINUS = "+", "\N{MINUS SIGN}"
LONGEST = 28  # letters of a name


_LEFT = ("more of the input", "more of the neuron on the left")


@dataclass(frozen=True)
class _Panel:
    """Effects ``[rows, columns]`` of the rows' sources on the columns' neurons or outputs, and their names."""

    effects: NDArray[np.float64]
    rows: list[str]
    columns: list[str]
    title: str


def network(formula: Formula) -> Figure:
    """A panel for each layer: rows are its inputs, columns its neurons, the area of a dot is the size of the effect.

    Blue raises and orange lowers what the column stands for; in the last layer of a network of one output, and in a
    linear model, that is the prediction. The effect of an input is the one of a standard deviation of it.
    """
    panels = [_heaviest(panel) for panel in _panels(formula) if panel.effects.any()]
    if not panels:
        figure = Figure(figsize=(6.4, 1.5))
        figure.text(0.5, 0.5, "No weight reaches an output.", ha="center", va="center")
        return figure
    heights = [CELL * max(2, len(panel.rows)) for panel in panels]
    widest = CELL * max(3, *(len(panel.columns) for panel in panels))
    names = 0.085 * max(len(_cut(name)) for panel in panels for name in panel.rows)
    size = (max(names + widest + 1.9 + 1.6, 6.4), sum(heights) + 1.15 * len(panels) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(
        len(panels), 2, squeeze=False, gridspec_kw={"height_ratios": heights, "width_ratios": [widest, 1.9]}
    )
    for (left, right), panel in zip(grid, panels, strict=True):
        top = float(np.abs(panel.effects).max(initial=0.0)) or 1.0
        _dots(left, panel, top)
        _totals(right, panel)
        _legend(right, top, "effect per sd\nof the input" if panel is panels[0] else "weight")
    figure.suptitle(_title(formula), fontsize=11, parse_math=False)
    return figure


def _title(formula: Formula) -> str:
    neurons, inputs = sum(len(stage.weights) for stage in formula.stages[:-1]), sum(formula.used)
    kind = f"{neurons} neuron{'s' if neurons != 1 else ''}" if neurons else "linear"
    return f"{_cut(formula.facts.target)}: {kind}, {inputs} input{'s' if inputs != 1 else ''}"


def _panels(formula: Formula) -> list[_Panel]:
    """Layers in the order in which they are computed; signs of one output go into the layer before."""
    found, last = [], len(formula.stages) - 1
    single = last > 0 and len(formula.stages[-1].weights) == 1
    for i, stage in enumerate(formula.stages):
        if single and i == last:
            continue
        effects = stage.weights.numpy().T
        names, columns = formula.facts.names if i == 0 else formula.names(i - 1), formula.names(i)
        if i == 0:
            effects = effects * formula.spread[:, None]
        title = f"{_LEFT[min(i, 1)]}: blue raises what the column names, orange lowers it"
        if single and i == last - 1:
            what = _cut(formula.names(last)[0])
            signs = formula.stages[-1].weights[0].numpy()
            effects = effects * signs
            columns = [f"{PLUS if sign > 0 else MINUS}{name}" for sign, name in zip(signs, columns, strict=True)]
            title = f"{_LEFT[min(i, 1)]}, while the column's neuron is active: blue raises {what}, orange lowers it"
        elif i == last == 0:
            title = "more of the input: blue raises the prediction, orange lowers it"
        found.append(_Panel(effects, list(names), columns, title))
    return found


def _heaviest(panel: _Panel) -> _Panel:
    """The rows and columns that weigh most, heaviest first; those without weights go."""
    rows = _largest(np.abs(panel.effects).sum(axis=1))
    columns = np.sort(_largest(np.abs(panel.effects).sum(axis=0)))
    live = int((panel.effects != 0).any(axis=1).sum()), int((panel.effects != 0).any(axis=0).sum())
    left_out = [
        f"{count - MOST} {what}" for count, what in zip(live, ("inputs", "columns"), strict=True) if count > MOST
    ]
    title = panel.title + (f" ({' and '.join(left_out)} of less weight left out)" if left_out else "")
    kept = panel.effects[np.ix_(rows, columns)]
    return _Panel(kept, [panel.rows[i] for i in rows], [panel.columns[j] for j in columns], title)


def _largest(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    order = np.argsort(-weights, kind="stable")[:MOST]
    return order[weights[order] > 0]


def _dots(axes: Axes, panel: _Panel, top: float) -> None:
    row, column = np.nonzero(panel.effects)
    values = panel.effects[row, column]
    colours = np.where(values > 0, UP, DOWN)
    axes.scatter(column, row, s=DOT**2 * np.abs(values) / top, c=colours.tolist(), linewidths=0, zorder=2)
    letters = max(len(_cut(name)) for name in panel.columns)
    turned = letters > 4 and letters * len(panel.columns) > 36
    axes.set_xticks(
        range(len(panel.columns)), labels=[_cut(name) for name in panel.columns], fontsize=7, parse_math=False
    )
    axes.tick_params(axis="x", rotation=90 if turned else 0)
    axes.set_yticks(range(len(panel.rows)), labels=[_cut(name) for name in panel.rows], fontsize=7, parse_math=False)
    axes.set_xlim(-0.6, len(panel.columns) - 0.4)
    axes.set_ylim(len(panel.rows) - 0.4, -0.6)
    axes.grid(color="0.9", linewidth=0.5, zorder=0)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_color("0.8")
    axes.set_title(panel.title, fontsize=8, loc="left", parse_math=False)


def _totals(axes: Axes, panel: _Panel) -> None:
    """Bars of each row's whole effect, in the rows of the dots."""
    alone = len(panel.columns) == 1
    totals = panel.effects[:, 0] if alone else np.abs(panel.effects).sum(axis=1)
    colours = [UP if one > 0 else DOWN for one in totals] if alone else "0.6"
    axes.barh(range(len(totals)), totals, height=0.6, color=colours)
    axes.set_ylim(len(panel.rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=7, length=2)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("effect" if alone else "sum of sizes over the columns", fontsize=7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _legend(axes: Axes, top: float, words: str) -> None:
    sizes: Sequence[float] = (top, top / 4)
    marks = [
        Line2D([], [], linestyle="", marker="o", color="0.4", markeredgewidth=0, markersize=DOT * (size / top) ** 0.5)
        for size in sizes
    ]
    axes.legend(
        marks,
        [f"{size:.2g}" for size in sizes],
        title=words,
        title_fontsize=7,
        fontsize=7,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
    )


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
