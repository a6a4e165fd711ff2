"""The table of a spec: where it is, and which of its rows belong to which method of which panel."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mlpiht_cli.errors import InputError
from mlpiht_cli.rows import PROFILES, Row, read_csv, table_name
from mlpiht_cli.specs.expand import settings_told, with_profile
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


def placed(spec: Spec, profile: str, rows: Iterable[Row]) -> dict[Place, Row]:
    """Rows under the labels whose settings they were made with; others are left out, with a warning."""
    shrunk = with_profile(spec, profile)
    told = settings_told(spec, shrunk, profile)
    varies = {panel.name: (panel.n is not None, panel.d is not None) for panel in spec.panels}
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
