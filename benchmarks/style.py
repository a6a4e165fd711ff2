"""What the figures share."""

from __future__ import annotations

from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's colours, which the colour-blind can tell apart."""
OURS, OTHER = COLOURS[0], COLOURS[1]


def grid(axes: Axes) -> None:
    """A faint grid at the major ticks, behind the data."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
