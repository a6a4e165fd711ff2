"""Share of seeds that succeed in each panel, as bars: one group for each panel, one bar for each method."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.lines import COLOURS, lines, look_numbers
from mlpiht_cli.figures.success import Share, share_label, share_note, share_of
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable

BAR = 0.19
"""Height of a bar, inches."""
GAP = 0.7
"""Space between two panels, in bars."""
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
"""Which tell bars apart in print."""


def shares(data: FigureTable, look: Look) -> Figure:
    """Share of the seeds whose metric reaches the level, as horizontal bars: panels down the side, a bar per method.

    A panel of several m, s, n or d has a bar for each. Where less of the metric is better, or with ``falling``, a seed
    at or below the level succeeds. Whiskers are 95 % Wilson intervals, and the numbers at the right count the seeds. A
    run that failed or diverged counts as no success; a dash stands for a bar with a skipped seed, or without all seeds.

    Raises
    ------
    InputError
        The figure has no level.
    """
    if data.spec.level is None:
        raise InputError("figure.level is missing: shares are of the seeds whose metric reaches the level")
    groups = [(panel, list(_bars(panel, data))) for panel in data.panels]
    numbers = look_numbers((label for _, bars in groups for label, _ in bars), data)
    units = sum(len(bars) + GAP for _, bars in groups)
    figure = Figure(figsize=(6.8, BAR * units + 1.3), layout="constrained")
    axes = figure.subplots()
    y, middles = GAP, []
    for _, bars in groups:
        middles.append(y + (len(bars) - 1) / 2)
        for label, share in bars:
            _draw(axes, y, label, share, numbers[label])
            y += 1
        y += GAP
    axes.set_ylim(y - 0.5, -0.5 + GAP / 2)
    titles = [textwrap.fill(panel.title, 34) for panel in data.panels]
    axes.set_yticks(middles, labels=titles, fontsize=8, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_xlabel(share_label(data))
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(numbers) > 1:
        handles = [Patch(**_look(i), label=label) for label, i in numbers.items()]  # type: ignore[arg-type]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if not look.paper:
        figure.suptitle(f"{data.title}\n{share_note(data)}", fontsize=10, parse_math=False)
    return figure


def _bars(panel: PanelTable, data: FigureTable) -> Iterator[tuple[str, Share | None]]:
    """Label and share of each bar of a panel."""
    for line in lines(panel, "s"):
        for s in panel.s:
            words = [*line.words(data), *([f"s = {s}"] if len(panel.s) > 1 else [])]
            yield ", ".join(words), share_of(line.every(s), panel, data)


def _look(number: int) -> dict[str, str]:
    return {
        "facecolor": COLOURS[number % len(COLOURS)],
        "hatch": HATCHES[number % len(HATCHES)],
        "edgecolor": "white",
    }


def _draw(axes: Axes, y: float, label: str, share: Share | None, number: int) -> None:
    """One bar with its whisker and count; a dash in place of a share that is not known."""
    if share is not None:
        axes.barh(y, share.value, height=0.86, linewidth=0, label=label, **_look(number))  # type: ignore[arg-type]
        low, high = share.interval
        ends = [[share.value - low], [high - share.value]]
        axes.errorbar(share.value, y, xerr=ends, color="0.2", linewidth=0.8, capsize=2)
    text = "–" if share is None else f"{share.hits}/{share.total}"  # noqa: RUF001
    axes.text(1.015, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=7, color="0.2")
