"""Pictures of networks: images and their reconstructions, planted weights and those found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlpiht_cli.figures.table import in_capitals

SIDE = 1.9  # inches


@dataclass(frozen=True)
class Shot:
    """One picture: an image ``[rows, columns(, 3)]`` in [0, 1], or weights ``[m, d]``; and its title."""

    title: str
    values: NDArray[np.float64]


def images(title: str, target: Shot, rows: Sequence[Sequence[Shot]]) -> Figure:
    """Target on the left of every row, then the reconstructions; values are cut to [0, 1]."""

    def draw(axes: Axes, shot: Shot) -> None:
        axes.imshow(np.clip(shot.values, 0.0, 1.0), cmap="gray", vmin=0.0, vmax=1.0, interpolation="none")
        axes.set_xticks([])
        axes.set_yticks([])

    size = (SIDE * (1 + max(len(row) for row in rows)), (SIDE + 0.45) * len(rows) + 0.4)
    return _sheet(title, [[target, *row] for row in rows], draw, size)


def weights(title: str, target: Shot, rows: Sequence[Sequence[Shot]]) -> Figure:
    """Planted weights above, those found below, neurons matched; all have one scale, in which white is zero."""
    every = [[target], *[[shot] for row in rows for shot in row]]
    top = float(np.abs(target.values).max()) or 1.0

    def draw(axes: Axes, shot: Shot) -> None:
        image = axes.imshow(shot.values, cmap="PuOr", vmin=-top, vmax=top, aspect="auto", interpolation="none")
        axes.set_ylabel("neuron", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.figure.colorbar(image, ax=axes, extend="both", pad=0.01).set_label("weight", fontsize=8)
        if shot is every[-1][0]:
            axes.set_xlabel("input", fontsize=8)

    return _sheet(title, every, draw, (8.0, 1.5 * len(every) + 0.5))


def layers(title: str, names: tuple[Sequence[str], Sequence[str]], rows: Sequence[Sequence[Shot]]) -> Figure:
    """Matrices of one linear layer, outputs by inputs, with the weights written in; each has its own scale."""
    outputs, inputs = names

    def draw(axes: Axes, shot: Shot) -> None:
        top = float(np.abs(shot.values).max()) or 1.0
        axes.imshow(shot.values, cmap="PuOr", vmin=-top, vmax=top, aspect="auto", interpolation="none")
        for (i, j), weight in np.ndenumerate(shot.values):
            if weight:
                dark = abs(weight) > 0.6 * top
                colour = "white" if dark else "black"
                words = f"{weight:.0f}" if abs(weight) >= 10 else f"{weight:.2g}"
                axes.text(j, i, words, ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(inputs)), labels=list(inputs), fontsize=7, rotation=30, ha="right")
        axes.set_yticks(range(len(outputs)), labels=list(outputs), fontsize=7)
        axes.tick_params(length=0)

    return _sheet(title, rows, draw, (2.6 * max(len(row) for row in rows), 1.8 * len(rows) + 0.6))


def _sheet(
    title: str, rows: Sequence[Sequence[Shot]], draw: Callable[[Axes, Shot], None], size: tuple[float, float]
) -> Figure:
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), max(len(row) for row in rows), squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        for j, one in enumerate(axes):
            if j >= len(row):
                one.set_axis_off()
                continue
            draw(one, row[j])
            one.set_title(in_capitals(row[j].title), fontsize=9, parse_math=False)
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure
