"""The score of a network and of a sparse line against their budget, by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from mlpiht_cli.analysis.paths import PathRow
from mlpiht_cli.figures.lines import style


def path_figure(rows: Sequence[PathRow], label: str, title: str) -> Figure:
    """Draw the mean score over the folds with its standard error for each method, and mark the choice.

    Parameters
    ----------
    rows
        Rows of a path, by method and budget.
    label
        Label of the vertical axis: the metric.
    title
        Title of the figure.
    """
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    methods = list(dict.fromkeys(row.method for row in rows))
    for i, method in enumerate(methods):
        own = sorted((row for row in rows if row.method == method), key=lambda row: row.s)
        look = style(i)
        s, score = [row.s for row in own], np.array([row.score for row in own])
        spread = np.array([row.standard_error for row in own])
        axes.fill_between(s, score - spread, score + spread, color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(s, score, markersize=4, label=method, **look)  # type: ignore[arg-type]
    for row in (row for row in rows if row.chosen):
        axes.plot(row.s, row.score, "o", markersize=13, markerfacecolor="none", color="black", label=f"chosen: {row}")
    budgets = sorted({row.s for row in rows})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(s) for s in budgets], fontsize=8)
    axes.set_xlabel("budget s (nonzero weights)", fontsize=9)
    axes.set_ylabel(label, fontsize=9)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.grid(color="0.92", linewidth=0.5)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    return figure
