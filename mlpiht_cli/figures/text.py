"""Tables as text, in Markdown and CSV: statistics over the seeds for each panel, method, width and budget."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from mlpiht_cli.analysis.scores import ranked
from mlpiht_cli.figures.table import FigureTable, PanelTable
from mlpiht_cli.records.rows import Row

STATISTICS = ("seeds", "median", "mean", "std", "min", "max", "exact", "settled", "without")
HEAD = ("panel", "method", "n", "d", "m", "s", *STATISTICS)


def table_lines(data: FigureTable) -> list[tuple[str, ...]]:
    """Cells of the table in the order of :data:`HEAD`.

    ``exact`` is the share of seeds with exact recovery. ``settled`` is the median step from which the support stays,
    over the seeds where it stays before the last step. ``without`` counts seeds without a value: skipped, diverged,
    failed or missing. In a table of settling steps, a support that changes in the last of 100 steps has the value
    ``>= 100``, and a mean over such a value is left out.
    """
    return [
        (panel.title, method, *map(_shown, (*size, m, s)), *_summary(panel, panel.at(method, m, s, size)))
        for panel in data.panels
        for method, size, m, s in product(panel.methods, panel.sizes, panel.m, panel.s)
    ]


def _shown(value: int | None) -> str:
    return "" if value is None else str(value)


def _summary(panel: PanelTable, found: Sequence[Row | None]) -> tuple[str, ...]:
    rows = [row for row in found if row is not None and row.status == "ok"]
    values = [value for row in rows if (value := ranked(row, panel.metric)) is not None]
    exact = [row.exact for row in rows if row.exact is not None]
    return (
        str(len(values)),
        *(_statistics(values, panel.facts.digits, max(row.iterations or 0 for row in rows)) if values else [""] * 5),
        f"{sum(exact)}/{len(exact)}" if exact else "",
        _settled(rows),
        str(len(found) - len(values)),
    )


def _statistics(values: Sequence[float], digits: int, steps: int) -> list[str]:
    """Median, mean, standard deviation, least and largest; an infinite value has a rank, and no mean."""
    averages = [np.mean(values), np.std(values)] if math.inf not in values else [math.nan] * 2
    known = [float(value) for value in (np.median(values), *averages, min(values), max(values))]
    return [
        "" if math.isnan(value) else f">= {steps}" if value == math.inf else f"{value:.{digits}f}" for value in known
    ]


def _settled(rows: Sequence[Row]) -> str:
    """Median settling step, and the share of seeds whose support no longer moved when the steps ended."""
    steps = [step for row in rows if (step := ranked(row, "settled")) is not None]
    still = [step for step in steps if step < math.inf]
    if not still:
        return f"(0/{len(steps)})" if steps else ""
    return f"{float(np.median(still)):.0f} ({len(still)}/{len(steps)})"


def markdown(data: FigureTable) -> str:
    """The table in Markdown, under its title.

    One line for each panel, method, n, d, m and s: seeds with a value; their median, mean, standard deviation, least
    and largest; how many are exact; the median settling step; seeds without a value.
    """
    every = [HEAD, *table_lines(data)]
    used = [j for j in range(len(HEAD)) if any(line[j] for line in every[1:])]
    rows = ["| " + " | ".join(line[j] for j in used) + " |" for line in every]
    rule = "|" + "---|" * len(used)
    units = " or ".join(dict.fromkeys(panel.facts.label for panel in data.panels))
    return "\n".join([f"**{data.spec.label}: {data.title}** ({units}; {data.note})", "", rows[0], rule, *rows[1:], ""])


def comma_separated(data: FigureTable) -> str:
    """The table as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEAD, *table_lines(data)])
    return out.getvalue()
