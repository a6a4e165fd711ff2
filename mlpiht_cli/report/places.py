"""Tables of the page: what each method reaches at each place of a panel, over the seeds."""

from __future__ import annotations

import math
import shlex
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from mlpiht_cli.analysis.scores import ranked, recorded, word
from mlpiht_cli.core.metric import metric
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.report.section import Section
from mlpiht_cli.report.store import RowStore, significant
from mlpiht_cli.specs.find import command_line

DIGITS, EXACT_DIGITS = 4, 6
"""Digits of a statistic, and of the value of one row."""
AXES = ("m", "s", "n", "d")

Statistic = float | int | str | None


@dataclass(frozen=True)
class Summary:
    """Median, least and largest of the values at a place, and their number; for words, the most frequent one."""

    median: Statistic
    least: Statistic
    largest: Statistic
    runs: int


def summary(rows: Sequence[Row | None], name: str) -> Summary:
    """Summarise a score over the seeds, as the tables of ``plot`` do.

    Rows that skipped, diverged or failed have no value. An infinite PSNR counts as the number that its metric names; a
    step that bounds the run is written ``>= steps``.
    """
    done = [row for row in rows if row is not None and row.status == "ok"]
    words = Counter(said for row in done if (said := word(row, name)) is not None)
    if words:
        ((most, _),) = words.most_common(1)
        return Summary(most, min(words), max(words), words.total())
    values = [value for row in done if (value := ranked(row, name)) is not None]
    if not values:
        return Summary(None, None, None, 0)
    steps = max(row.iterations or 0 for row in done)
    median, least, largest = (
        f">= {steps}" if one == math.inf else significant(one, DIGITS)
        for one in (statistics.median(values), min(values), max(values))
    )
    return Summary(median, least, largest, len(values))


def panel_document(section: Section, panel: PanelTable, results: Path, store: RowStore) -> dict[str, Any]:
    """One panel as the page's script reads it; a CSV has no places without rows.

    Returns
    -------
    ``places`` holds the number of the method and the values of ``axes``; ``rows`` the numbers in the store of the
    place's rows, None for a missing one, in the order of the method's ``seeds``; each of ``scores`` the statistics and
    values in the same order.
    """
    axes = [name for name in AXES if getattr(panel, name) != [None]]
    places, rows = [], []
    for (n, d), m, s, method in product(panel.sizes, panel.m, panel.s, panel.methods):
        found = panel.at(method, m, s, (n, d))
        if section.is_csv and not any(found):
            continue
        at = dict(zip(AXES, (m, s, n, d), strict=True))
        places.append([panel.methods.index(method), *(at[axis] for axis in axes)])
        rows.append(found)
    return {
        "methods": panel.methods,
        "seeds": [list(panel.seeds_of(method)) for method in panel.methods],
        "again": [_again(section, panel, method, results) for method in panel.methods],
        "shared": _shared(panel),
        "axes": axes,
        "places": places,
        "rows": [[None if row is None else store.number(row) for row in found] for found in rows],
        "scores": [_score(name, rows) for name in section.scores[panel.name]],
    }


def _score(name: str, rows: Sequence[Sequence[Row | None]]) -> dict[str, Any]:
    stats = [summary(found, name) for found in rows]
    return {
        "label": metric(name).label,
        "stats": [[one.median, one.least, one.largest, one.runs] for one in stats],
        "values": [[None if row is None else _value(row, name) for row in found] for found in rows],
    }


def _value(row: Row, name: str) -> Statistic:
    """The score as the row holds it; None for a run without one."""
    if row.status != "ok":
        return None
    said = word(row, name)
    return significant(recorded(row, name), EXACT_DIGITS) if said is None else said


def _names(panel: PanelTable) -> dict[str, str]:
    """Names of the methods by their labels, of the rows that there are."""
    return {key.label: row.method for key, row in panel.rows.items()}


def _again(section: Section, panel: PanelTable, method: str, results: Path) -> str:
    """Start of the command that makes a row again; its place and seed follow."""
    start = f"mlpiht rerun {shlex.quote(section.source)}"
    if not section.is_csv:
        start = command_line("rerun", section.source, section.profile, results)
    return f"{start} --only {shlex.quote(f'panel={panel.name},method={_names(panel).get(method, method)}')}"


def _shared(panel: PanelTable) -> list[bool]:
    """For each label, whether another label has the same method, so that the command makes the rows of both."""
    names = _names(panel)
    counts = Counter(names.values())
    return [counts[names.get(label, label)] > 1 for label in panel.methods]
