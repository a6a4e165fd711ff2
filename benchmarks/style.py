"""Colours and grid that the figures share."""

from __future__ import annotations

from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Colours of Okabe and Ito, which colour-blind readers can distinguish."""
OURS, OTHER = COLOURS[0], COLOURS[1]


def grid(axes: Axes) -> None:
    """Draw a faint grid at the major ticks, behind the data."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
