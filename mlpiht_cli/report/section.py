"""What the page says of one spec: its claims, its figures, and the rows that they are of. Loads without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.checks.claims import Judged, check_claims
from mlpiht_cli.checks.source import read_source
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FigureTable, check_kinds
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row


@dataclass(frozen=True)
class Section:
    """One spec in a profile, or one CSV, with everything that the page shows of it.

    Attributes
    ----------
    source
        Name or path by which the user knows it.
    table
        Path of its table.
    origin
        What the spec reproduces, in its own words; empty for a CSV of no spec.
    unjudged
        Why the claims are not judged; empty where they are.
    figures
        One for each view.
    """

    source: str
    profile: str
    table: Path
    title: str
    origin: str
    claims: list[Judged]
    unjudged: str
    figures: list[FigureTable]

    @property
    def is_csv(self) -> bool:
        """Whether it is a table without a spec, which has all rows of the CSV and no cells to run."""
        return self.source.endswith(".csv")

    @cached_property
    def panels(self) -> dict[str, PanelTable]:
        """Panels that the figures draw, by name; of several views of one panel, the first."""
        found: dict[str, PanelTable] = {}
        for panel in (panel for data in self.figures for panel in data.panels):
            found.setdefault(panel.name, panel)
        return found

    @cached_property
    def rows(self) -> Mapping[RowKey, Row]:
        """Rows of all panels, by their places."""
        return {key: row for panel in self.panels.values() for key, row in panel.rows.items()}

    @cached_property
    def scores(self) -> dict[str, list[str]]:
        """Scores that the figures show of each panel, in the order of the views."""
        found: dict[str, list[str]] = {}
        for data in self.figures:
            for panel in data.panels:
                found.setdefault(panel.name, []).extend([panel.metric, *data.spec.further])
        return {name: list(dict.fromkeys(own)) for name, own in found.items()}

    def title_of(self, panel: PanelTable) -> str:
        """Title of a panel; with its name, where another panel has the same title."""
        alike = [one for one in self.panels.values() if one.title == panel.title]
        return panel.title if len(alike) == 1 else f"{panel.title} ({panel.name})"

    @property
    def total(self) -> int:
        """Number of cells of the panels."""
        return sum(panel.total for panel in self.panels.values())

    @property
    def missing(self) -> Counter[tuple[str, str]]:
        """Cells without a row, by name of the panel and label of the method."""
        lacking: Counter[tuple[str, str]] = Counter()
        for panel in self.panels.values():
            there = Counter(key.label for key in panel.rows)
            for method in panel.methods:
                lacking[panel.name, method] = panel.runs(method) - there[method]
        return +lacking

    @property
    def verdicts(self) -> Counter[str]:
        """Number of claims by verdict."""
        return Counter(one.verdict for one in self.claims)

    @property
    def facts(self) -> dict[str, Any]:
        """What ``--json`` says of it."""
        return {
            "source": self.source,
            "profile": self.profile,
            "table": str(self.table),
            "figures": [data.name for data in self.figures],
            "cells": self.total,
            "missing": self.missing.total(),
            "claims": {one.name: one.verdict for one in self.claims},
        }


def read_section(source: str, profile: str, results: Path) -> Section:
    """Read a spec and its table in ``results``, or a CSV.

    Raises
    ------
    InputError
        What ``plot`` or ``check`` refuse: no such spec, faults in it, no table yet, rows that do not belong together.
        The claims of a CSV are left out where ``check`` refuses it.
    """
    figures = figure_tables(source, profile, results)
    check_kinds(kind for data in figures for kind in data.spec.kinds)
    try:
        checked = read_source(source, profile, results)
        claims = check_claims(checked.expansion, checked.rows)
    except InputError as error:
        if not source.endswith(".csv"):
            raise
        title = f"{figures[0].title} ({Path(source).name})"
        return Section(source, "", Path(source), title, "", [], str(error), figures)
    spec, own = checked.expansion.spec, checked.expansion.profile
    title = f"{spec.figure.label}: {spec.title}"
    return Section(source, own, checked.path, title, spec.source, claims, "", figures)
