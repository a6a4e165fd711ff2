"""Places of rows in a figure or a claim."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from mlpiht_cli.analysis.scores import intact
from mlpiht_cli.analysis.variants import differing, distinct, in_words, is_of_task, made_with
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row

log = logging.getLogger("mlpiht")


class RowKey(NamedTuple):
    """Place of a row in a spec: panel, label and grid point; n and d are None unless the panel varies them."""

    panel: str
    label: str
    m: int
    s: int
    seed: int
    n: int | None = None
    d: int | None = None


class Places(dict[RowKey, Row]):
    """Rows by their places; two cells in one place are refused, and one cell twice is counted: the last row stays."""

    def __init__(self, table: str) -> None:
        super().__init__()
        self._table = table
        self._numbers: dict[RowKey, int] = {}
        self.twice = 0

    def put(self, key: RowKey, row: Row, number: int) -> None:
        """Put a row, whose number in the table is given, in its place.

        Raises
        ------
        InputError
            A row of another cell has the place; the message names both rows and the settings in which they differ.
        """
        other = self.get(key)
        if other is not None and other.cell != row.cell:
            what = in_words(differing([made_with(other), made_with(row)]))
            raise InputError(
                f"{self._table}: rows {self._numbers[key]} and {number} have one place in the figure and differ in "
                f"{what or 'the content of their data'}; keep the rows of one of them, or give each its own panel"
            )
        self.twice += other is not None
        self[key], self._numbers[key] = row, number

    def check_alike(self) -> None:
        """Check the rows that have a result.

        Raises
        ------
        InputError
            Those of one panel and label differ in more than their places, or those of one panel in their task, its
            settings or data, or the metric.
        """
        panels: dict[str, dict[str, list[tuple[RowKey, Row]]]] = {}
        for key, row in self.items():
            if row.status == "ok":
                panels.setdefault(key.panel, {}).setdefault(key.label, []).append((key, row))
        for panel, labels in panels.items():
            for label, pairs in labels.items():
                self._check_pairs(f"panel '{panel}' and method '{label}'", pairs, whole=True)
            self._check_pairs(f"panel '{panel}'", [pair for pairs in labels.values() for pair in pairs], whole=False)

    def _check_pairs(self, where: str, pairs: Sequence[tuple[RowKey, Row]], whole: bool) -> None:
        axes = {f"task.{axis}" for axis in ("n", "d") if any(getattr(key, axis) is not None for key, _ in pairs)}
        rows = distinct(row for _, row in pairs)
        varied = differing([made_with(row) for row in rows]) | differing(
            [{"metric": row.metric} for _, row in pairs if intact(row)]
        )
        varied = {name: found for name, found in varied.items() if name not in axes}
        if not whole:
            varied = {name: found for name, found in varied.items() if is_of_task(name) or name == "metric"}
        if varied:
            raise InputError(
                f"{self._table}: the rows of {where} differ in {in_words(varied)}, which the spec leaves open; keep "
                "the rows of one of them, or draw the CSV alone"
            )

    def warn(self) -> None:
        """Say how many rows are there twice."""
        if self.twice:
            log.warning("%s: %d row(s) are there twice; the last one counts", self._table, self.twice)
