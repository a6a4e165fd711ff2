"""Heat maps over hidden width m (rows) and budget s (columns): methods above each other, panels side by side."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from mlpiht_cli.figures.table import FigureTable, Grid, Look, PanelTable

UNITS = {"psnr": "PSNR (dB)", "accuracy": "test accuracy"}
CMAP = "viridis"  # perceptually uniform, and readable for the colour-blind and in grey
CELL = 0.36  # inches
# What a cell without a number looks like: face, hatch and words of the legend.
STATES = {
    "missing": ("white", "////", "no result yet"),
    "skipped": ("0.85", "", "skipped (mlpiht status says why)"),
    "bad": ("white", "xxxx", "failed or diverged"),
}


def heatmap(data: FigureTable, look: Look) -> Figure:
    """Draw mean heat maps with the spec's colour limits; one colour bar a row when the limits are shared."""
    methods, panels = data.methods, data.panels
    widths = [max(2.2, CELL * len(panel.s)) for panel in panels]
    height = max(2.0, CELL * max(len(panel.m) for panel in panels))
    shared = len({panel.limits for panel in panels}) == 1
    figure = Figure(
        figsize=(sum(widths) + 1.1 * len(panels) + 0.8, (height + 0.75) * len(methods) + 0.8),
        layout="constrained",
    )
    axes = figure.subplots(len(methods), len(panels), squeeze=False, width_ratios=widths)
    states: set[str] = set()
    for j, panel in enumerate(panels):
        image = None
        for i, method in enumerate(methods):
            if method not in panel.methods:
                axes[i, j].set_axis_off()
                continue
            grid = panel.grid(method, data.spec.metric, look.partial)
            states |= set(grid.state.flatten())
            image = _draw(axes[i, j], panel, grid, look)
            axes[i, j].set_title(_title(method, panel, len(panels)), fontsize=10, parse_math=False)
        column = list(axes[:, j]) if not shared else list(axes.flatten())
        if image is not None and (not shared or j == len(panels) - 1):
            extend = "min" if data.spec.metric == "accuracy" else "both"  # nothing is above 100 percent
            bar = figure.colorbar(image, ax=column, extend=extend, shrink=0.9, pad=0.02)
            bar.set_label(UNITS[data.spec.metric])
    if not look.paper:
        seeds = " (at hand)" if look.partial else ""
        figure.suptitle(f"{data.title}\n{data.note}{seeds}", fontsize=11, parse_math=False)
    _legend(figure, states)
    return figure


def _title(method: str, panel: PanelTable, panels: int) -> str:
    return f"{method.upper()}: {panel.title}" if panels > 1 or panel.title else method.upper()


def _draw(axes: Axes, panel: PanelTable, grid: Grid, look: Look) -> AxesImage:
    norm = Normalize(*panel.limits)
    image = axes.imshow(grid.mean, cmap=mpl.colormaps[CMAP], norm=norm, aspect="auto", interpolation="none")
    axes.set_xticks(range(len(panel.s)), labels=[str(s) for s in panel.s], fontsize=8, rotation=45)
    axes.set_yticks(range(len(panel.m)), labels=[str(m) for m in panel.m], fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("budget s (nonzero weights)", fontsize=9)
    axes.set_ylabel("hidden width m", fontsize=9)
    for (i, j), state in np.ndenumerate(grid.state):
        if state in STATES:
            face, hatch, _ = STATES[str(state)]
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, edgecolor="0.6", hatch=hatch, linewidth=0)
            )
            if state == "skipped":
                axes.text(j, i, "–", ha="center", va="center", color="0.3", fontsize=8)  # noqa: RUF001
        elif look.annotate:
            _write(axes, i, j, float(grid.mean[i, j]), norm)
    return image


def _write(axes: Axes, i: int, j: int, value: float, norm: Normalize) -> None:
    """The value, in the colour that reads on its cell."""
    red, green, blue, _ = mpl.colormaps[CMAP](norm(value))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    text = f"{value:.2f}" if norm.vmax is not None and norm.vmax <= 1 else f"{value:.0f}"
    axes.text(j, i, text, ha="center", va="center", fontsize=6, color="white" if dark else "black")


def _legend(figure: Figure, states: set[str]) -> None:
    """Explain the marks that occur."""
    handles = [
        Patch(facecolor=face, hatch=hatch, edgecolor="0.6", label=words)
        for state, (face, hatch, words) in STATES.items()
        if state in states
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
