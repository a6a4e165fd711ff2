"""The table of a spec: its path, and the panel and method that each row belongs to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpiht_cli.analysis.places import Places, RowKey
from mlpiht_cli.analysis.variants import LATER
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import PROFILES, read_csv, table_name
from mlpiht_cli.specs.expand import Expansion, expand
from mlpiht_cli.specs.find import command_line
from mlpiht_cli.specs.schema import Spec

log = logging.getLogger("mlpiht")


@dataclass(frozen=True)
class GivenSettings:
    """Settings that a spec and profile give to the task of a panel and to a method; all others are defaults."""

    name: str
    task: dict[str, Any]
    method: dict[str, Any]

    def fit(self, row: Row) -> bool:
        """Whether a row was made with these settings; None in a row fits all, as another setting took its place."""
        pairs = (self.task, row.params.get("task")), (self.method, row.params.get("method"))
        return row.method == self.name and all(
            isinstance(made, dict)
            and all(made.get(name, LATER.get(name)) in (value, None) for name, value in given.items())
            for given, made in pairs
        )


def given_settings(expansion: Expansion) -> dict[tuple[str, str], GivenSettings]:
    """Settings by panel and label of the method; those of a profile replace those of the spec."""
    over: dict[str, dict[str, Any]] = {"task": {}, "method": {}}
    for name, value in expansion.sets.items():
        head, _, field = name.partition(".")
        over[head][field] = value
    given = {}
    for grid in expansion.grids:
        task = {**grid.panel.task.settings, **over["task"]}
        for method in grid.methods:
            given[grid.name, method.shown] = GivenSettings(method.name, task, _merged(method.settings, over["method"]))
    return given


def _merged(settings: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a method, replaced by those of a profile: the same as its ``merge``, without its class and torch.

    A method with the setting steps runs in full batch, so that an epoch of the profile is one step.
    """
    merged = {**settings, **over}
    if "steps" in settings and "epochs" in over and "steps" not in over:
        merged["steps"] = merged.pop("epochs")
    return merged


def find_table(spec: Spec, profile: str, results: Path) -> Path | None:
    """Path of the table of a spec in ``results``, or of the spec with its cells; None if neither exists."""
    tables = [results / table_name(name, profile) for name in (spec.name, spec.cells_of) if name]
    return next((path for path in tables if path.exists()), None)


def read_results(spec: Spec, profile: str, results: Path, named: str) -> tuple[Path, list[Row]]:
    """Path and rows of the table of a spec in ``results``, or of the spec that it takes its cells from.

    ``named`` is the name or path by which the user knows the spec.

    Raises
    ------
    InputError
        There is no table yet; the message names the command that makes it.
    """
    path = find_table(spec, profile, results)
    if path is None:
        others = [p for p in PROFILES if find_table(spec, p, results) is not None]
        hint = f"; there is a table of --profile {others[0]}" if others else ""
        make = command_line("sweep", named, profile, results)
        wanted = results / table_name(spec.name, profile)
        raise InputError(f"{wanted}: no table yet; make it with `{make}`{hint}")
    return path, [*read_csv(path), *borrowed_rows(expand(spec, profile), results)]


def borrowed_rows(expansion: Expansion, results: Path) -> list[Row]:
    """Rows of methods that do not run in a spec but in another, whose panels of the same names have them."""
    given, out = given_settings(expansion), list[Row]()
    wanted: dict[str, list[tuple[str, GivenSettings]]] = {}
    for grid in expansion.grids:
        for entry in grid.methods:
            if entry.rows_of is not None:
                wanted.setdefault(entry.rows_of, []).append((grid.name, given[grid.name, entry.shown]))
    for name, places in wanted.items():
        path = results / table_name(name, expansion.profile)
        rows = read_csv(path) if path.exists() else []
        out += [row for row in rows if any(row.panel == panel and one.fit(row) for panel, one in places)]
    return out


def placed(expansion: Expansion, rows: Iterable[Row], table: str = "the table") -> dict[RowKey, Row]:
    """Rows by their places: each under the labels with its settings; other rows are left out, with a warning.

    Raises
    ------
    InputError
        Rows under one label differ in a setting that the spec does not give, or two cells have one place.
    """
    given = given_settings(expansion)
    varies = {grid.name: (grid.panel.n is not None, grid.panel.d is not None) for grid in expansion.grids}
    places, stray = Places(table), 0
    for number, row in enumerate(rows, start=2):
        labels = [label for (panel, label), one in given.items() if panel == row.panel and one.fit(row)]
        n, d = varies.get(row.panel, (False, False))
        size = row.n if n else None, row.d if d else None
        for label in labels:
            places.put(RowKey(row.panel, label, row.m, row.s, row.seed, *size), row, number)
        stray += not labels
    places.check_alike()
    places.warn()
    if stray:
        log.warning(
            "%d row(s) were made with other settings than the spec's and are left out; "
            "`mlpiht plot` of the CSV draws every row",
            stray,
        )
    return places
