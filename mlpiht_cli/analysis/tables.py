"""The table of a spec: where it is, and which of its rows belong to which method of which panel."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import PROFILES, read_csv, table_name
from mlpiht_cli.specs.expand import Expansion
from mlpiht_cli.specs.schema import Spec

log = logging.getLogger("mlpiht")


class Place(NamedTuple):
    """Where a row stands in a spec: panel, label and grid point; n and d are None unless the panel varies them."""

    panel: str
    label: str
    m: int
    s: int
    seed: int
    n: int | None = None
    d: int | None = None


LATER: Mapping[str, Any] = {"signs": "positive", "noise": 0.0}
"""Settings that came after rows were published, and what rows that lack them were made with."""


@dataclass(frozen=True)
class Told:
    """Settings that a spec and profile tell a panel's task and a method; all others are defaults."""

    name: str
    task: dict[str, Any]
    method: dict[str, Any]

    def fit(self, row: Row) -> bool:
        """Whether a row was made with these settings; one that is None gave way to another, as steps do to epochs."""
        pairs = (self.task, row.params.get("task")), (self.method, row.params.get("method"))
        return row.method == self.name and all(
            isinstance(made, dict)
            and all(made.get(name, LATER.get(name)) in (value, None) for name, value in told.items())
            for told, made in pairs
        )


def settings_told(expansion: Expansion) -> dict[tuple[str, str], Told]:
    """Settings by panel and label of the method; a profile's settings go to each task and method that has the field."""
    over: dict[str, dict[str, Any]] = {"task": {}, "method": {}}
    for name, value in expansion.sets.items():
        head, _, field = name.partition(".")
        over[head][field] = value
    told = {}
    for grid in expansion.grids:
        task = {**grid.panel.task.settings, **over["task"]}
        for method in grid.methods:
            told[grid.name, method.shown] = Told(method.name, task, _overruled(method.settings, over["method"]))
    return told


def _overruled(settings: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a method with those of a profile over them, as its ``merge`` does without its class (and torch).

    A method that is told steps runs in full batch, where a profile's epochs are steps.
    """
    told = {**settings, **over}
    if "steps" in settings and "epochs" in over and "steps" not in over:
        told["steps"] = told.pop("epochs")
    return told


def find_table(spec: Spec, profile: str, results: Path) -> Path | None:
    """Path of a spec's table in ``results``, or else of the spec that it takes its cells from; None if neither is."""
    tables = [results / table_name(name, profile) for name in (spec.name, spec.cells_of) if name]
    return next((path for path in tables if path.exists()), None)


def read_table(spec: Spec, profile: str, results: Path) -> tuple[Path, list[Row]]:
    """Path and rows of a spec's table in ``results``, or else of the spec that it takes its cells from.

    Raises
    ------
    InputError
        There is no table yet; the message says how to make it.
    """
    path = find_table(spec, profile, results)
    if path is None:
        others = [p for p in PROFILES if find_table(spec, p, results) is not None]
        hint = f"; there is a table of --profile {others[0]}" if others else ""
        make = f"mlpiht sweep {spec.name} --profile {profile}"
        wanted = results / table_name(spec.name, profile)
        raise InputError(f"{wanted}: no table yet; make it with `{make}`{hint}")
    return path, read_csv(path)


def placed(expansion: Expansion, rows: Iterable[Row]) -> dict[Place, Row]:
    """Rows under the labels whose settings they were made with; others are left out, with a warning."""
    told = settings_told(expansion)
    varies = {grid.name: (grid.panel.n is not None, grid.panel.d is not None) for grid in expansion.grids}
    table: dict[Place, Row] = {}
    stray = twice = 0
    for row in rows:
        labels = [label for (panel, label), one in told.items() if panel == row.panel and one.fit(row)]
        n, d = varies.get(row.panel, (False, False))
        size = row.n if n else None, row.d if d else None
        places = [Place(row.panel, label, row.m, row.s, row.seed, *size) for label in labels]
        stray += not places
        twice += any(place in table for place in places)
        table |= dict.fromkeys(places, row)
    if stray:
        log.warning(
            "%d row(s) were made with other settings than the spec's and are left out; "
            "`mlpiht plot` of the CSV draws the table as it stands",
            stray,
        )
    if twice:
        log.warning("%d row(s) stand where the table has a row already; the last one counts", twice)
    return table
