"""Places of rows in a figure or a claim."""

from __future__ import annotations

import logging
from typing import NamedTuple

from mlpiht_cli.analysis.variants import differing, distinct, in_words, made_with
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
        """Raise an error if the rows of one panel and label differ in more than their places."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for key, row in self.items():
            groups.setdefault(key[:2], []).append(row)
        for (panel, label), rows in groups.items():
            varied = differing([made_with(row) for row in distinct(rows)])
            if varied:
                raise InputError(
                    f"{self._table}: the rows of panel '{panel}' and method '{label}' differ in {in_words(varied)}, "
                    "which the spec leaves open; keep the rows of one of them, or draw the CSV alone"
                )

    def warn(self) -> None:
        """Say how many rows are there twice."""
        if self.twice:
            log.warning("%s: %d row(s) are there twice; the last one counts", self._table, self.twice)
