"""Ranks of methods within the cells of a panel: a critical-difference diagram, and a table with intervals."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.ranks import ALPHA, Ranks
from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.lines import look_numbers, style
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable

HEAD = ("panel", "method", "mean rank", "low", "high", "groups", "blocks", "left out", "Friedman p", "CD")
LINE = 0.23
"""Height of a line of the diagram, inches."""
STEP = 0.45
"""Space between two bars of groups, in lines."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of a panel, one for each cell and seed.

    Attributes
    ----------
    ranks
        Those that all methods have; None without any, or with fewer than two methods.
    left_out
        Number of the others.
    lacking
        Methods that the others lack.
    absent
        Methods without a score in any block, which are not ranked.
    """

    ranks: Ranks | None
    left_out: int
    lacking: tuple[str, ...]
    absent: tuple[str, ...]

    @classmethod
    def of(cls, panel: PanelTable, data: FigureTable) -> Blocks:
        """Read them from the rows.

        Raises
        ------
        InputError
            Neither direction of the metric is better.
        """
        falling = panel.facts.falling if data.spec.falling is None else data.spec.falling
        if falling is None:
            raise InputError(f"ranks need a direction: set figure.falling, whether less of {panel.metric} is better")
        places = list(product(panel.sizes, panel.m, panel.s, panel.seeds))
        every = {
            method: [
                _score(panel, RowKey(panel.name, method, m, s, seed, n, d), falling) for (n, d), m, s, seed in places
            ]
            for method in panel.methods
        }
        there = {method: found for method, found in every.items() if any(score is not None for score in found)}
        whole = [i for i in range(len(places)) if all(found[i] is not None for found in there.values())]
        lacking = tuple(method for method, found in there.items() if None in found)
        absent = tuple(method for method in panel.methods if method not in there)
        scores = np.array([[found[i] for found in there.values()] for i in whole], dtype=float)
        can = len(there) > 1 and len(whole) > 0
        known = Ranks(tuple(there), scores, tuple(places[i][-1] for i in whole)) if can else None
        return cls(known, len(places) - len(whole), lacking, absent)


def _score(panel: PanelTable, key: RowKey, falling: bool) -> float | None:
    """Score of a cell, more is better: inf for an exact fit, -inf for a run that failed; None where there is none."""
    row = panel.rows.get(key)
    if row is None or row.status == "skipped":
        return None
    value = finite_number(row, panel.metric)
    if row.status != "ok":
        return -math.inf
    if value is None or panel.facts.is_exact(value):
        return None if value is None else math.inf
    return -value if falling else value


def ranks(data: FigureTable, look: Look) -> Figure:
    """Mean ranks of the methods in each panel as critical-difference diagrams (Demsar 2006), the best at the left.

    A block is one cell with one seed; 1 is the best rank, equal scores share the mean of their ranks, and all exact
    fits are equal. A run that diverged or failed ranks last. A method that was skipped or has no run in all blocks is
    not ranked; other blocks without a run of every method are left out, and counted in the title. Brackets are
    bootstrap intervals (95 %) over the seeds. Bars join methods whose mean ranks differ by less than Nemenyi's critical
    difference (CD) at 5 %; where Friedman's test does not reject that all are equal, a bar joins all of them. The tests
    take blocks as independent.

    Raises
    ------
    InputError
        Neither direction of the metric is better.
    """
    every, numbers = [(panel, Blocks.of(panel, data)) for panel in data.panels], look_numbers(data.methods, data)
    heights = [_lines(blocks.ranks) + 2.6 for _, blocks in every]
    figure = Figure(figsize=(8.0, LINE * sum(heights) + 0.7), layout="constrained")
    grid = figure.subplots(len(every), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (panel, blocks) in zip(grid, every, strict=True):
        axes.set_axis_off()
        title = f"{panel.title}: {_said(blocks)}" if len(every) > 1 else _said(blocks)
        axes.set_title(textwrap.fill(title, 100), fontsize=9, parse_math=False)
        if blocks.ranks is not None:
            colours = [style(numbers[one])["color"] for one in blocks.ranks.methods]
            _diagram(axes, blocks.ranks, colours)
    if not look.paper:
        note = data.note.replace("mean over", "mean ranks over")
        figure.suptitle(f"{data.title}\n{_metrics(data)}; {note}", fontsize=10, parse_math=False)
    return figure


def _metrics(data: FigureTable) -> str:
    """What the panels are ranked by."""
    return " or ".join(dict.fromkeys(panel.facts.label for panel in data.panels))


def _lines(found: Ranks | None) -> float:
    """Lines below the axis of a diagram."""
    return 0.0 if found is None else -(-len(found.methods) // 2) + STEP * (len(found.groups) + 1)


def _said(blocks: Blocks) -> str:
    """Number of blocks, and what the tests say."""
    left_out = f", {blocks.left_out} left out (lack {', '.join(blocks.lacking)})" if blocks.lacking else ""
    left_out += f", without {', '.join(blocks.absent)}" if blocks.absent else ""
    if blocks.ranks is None:
        return f"no block has all methods{left_out}"
    p = blocks.ranks.p_value
    test = "; too few for a test" if p is None else f"; Friedman p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"
    verdict = ", no difference found" if p is not None and p >= ALPHA else ""
    return f"{len(blocks.ranks.scores)} blocks{left_out}{test}{verdict}"


def _diagram(axes: Axes, found: Ranks, colours: Sequence[str]) -> None:
    """Axis of ranks, elbows from the mean ranks to the labels at both sides, bars of groups, and the CD above."""
    count, mean, order = len(found.methods), found.mean, found.order
    axes.set_xlim(1, count)
    axes.set_ylim(-_lines(found), 2.0)
    axes.plot([1, count], [0, 0], color="black", linewidth=1, clip_on=False)
    for tick in MaxNLocator(integer=True, nbins=15).tick_values(1, count):
        if 1 <= tick <= count:
            axes.plot([tick, tick], [0, 0.15], color="black", linewidth=1, clip_on=False)
            axes.text(tick, 0.25, f"{tick:g}", ha="center", va="bottom", fontsize=8)
    width = min(found.difference, count - 1.0)
    axes.errorbar(1 + width / 2, 1.45, xerr=width / 2, color="black", linewidth=1, capsize=3, clip_on=False)
    wide = " (wider than the axis)" if found.difference > width else ""
    axes.text(1 + width + 0.01 * count, 1.45, f" CD = {found.difference:.2f}{wide}", va="center", fontsize=8)
    groups = found.groups
    for i, group in enumerate(groups):
        ends, y = [mean[group[0]] - 0.006 * count, mean[group[-1]] + 0.006 * count], -STEP * (i + 1)
        axes.plot(ends, [y, y], color="black", linewidth=3, solid_capstyle="butt", clip_on=False)
    half, first = -(-count // 2), -STEP * (len(groups) + 1)
    for place, i in enumerate(order):
        is_left = place < half
        y = first - (place if is_left else count - 1 - place)
        end, side, gap = (1, "right", -0.01) if is_left else (count, "left", 0.01)
        axes.plot([mean[i], mean[i], end], [0, y, y], color=colours[i], linewidth=1, clip_on=False)
        axes.plot(mean[i], 0, "o", color=colours[i], markersize=4, clip_on=False)
        axes.text(end + gap * count, y, _label(found, i), ha=side, va="center", fontsize=8, parse_math=False)


def _label(found: Ranks, i: int) -> str:
    interval = "" if found.intervals is None else " [{:.2f}, {:.2f}]".format(*found.intervals[i])
    return f"{found.methods[i]}  {found.mean[i]:.2f}{interval}"


def _table(data: FigureTable) -> list[tuple[str, ...]]:
    """Lines of the table in the order of :data:`HEAD`, the best method of a panel first."""
    lines: list[tuple[str, ...]] = []
    for panel in data.panels:
        blocks = Blocks.of(panel, data)
        found, left_out = blocks.ranks, str(blocks.left_out)
        unranked = panel.methods if found is None else blocks.absent
        absent = [(panel.title, method, "", "", "", "", "0", left_out, "", "") for method in unranked]
        if found is None:
            lines += absent
            continue
        p = "" if found.p_value is None else f"{found.p_value:.2g}"
        for i in found.order:
            low, high = ("", "") if found.intervals is None else (f"{end:.2f}" for end in found.intervals[i])
            letters = "".join(chr(ord("a") + j) for j, group in enumerate(found.groups) if i in group)
            counts = (letters, str(len(found.scores)), left_out, p, f"{found.difference:.2f}")
            lines.append((panel.title, found.methods[i], f"{found.mean[i]:.2f}", low, high, *counts))
        lines += absent
    return lines


def markdown(data: FigureTable) -> str:
    """The table in Markdown: mean ranks with their intervals, the best first.

    Methods with a letter in common do not differ significantly.
    """
    rows = ["| " + " | ".join(line) + " |" for line in [HEAD, *_table(data)]]
    note = data.note.replace("mean over", "blocks of")
    title = f"**{data.spec.label}: {data.title}** (ranks by {_metrics(data)}; {note})"
    return "\n".join([title, "", rows[0], "|" + "---|" * len(HEAD), *rows[1:], ""])


def comma_separated(data: FigureTable) -> str:
    """The table as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEAD, *_table(data)])
    return out.getvalue()
