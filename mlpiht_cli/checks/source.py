"""Input of a check: the table of a spec and profile, or a table whose rows name both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpiht_cli.analysis.tables import find_table, read_results
from mlpiht_cli.checks.rules import claim_faults
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv, table_name
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import Expansion
from mlpiht_cli.specs.filters import parse_only
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.point import Point
from mlpiht_cli.specs.read import read_spec


@dataclass(frozen=True)
class Source:
    """Rows of a table, and the spec in the profile that they are of."""

    path: Path
    rows: list[Row]
    expansion: Expansion


def read_source(source: str, profile: str, results: Path) -> Source:
    """Read a spec and its table in ``results``, or a CSV and the spec that its rows name.

    Raises
    ------
    InputError
        No such spec, faults in it, no table yet, or a table that mixes specs or profiles.
    """
    if source.endswith(".csv"):
        path = Path(source)
        rows = read_csv(path)
        draft = _draft(_single(rows, "spec", path))
        return Source(path, rows, draft.expansion(_single(rows, "profile", path)))
    draft = _draft(source)
    expansion, spec = draft.expansion(profile), draft.spec
    if not spec.claims:  # nothing to read a table for
        path = find_table(spec, profile, results) or results / table_name(spec.cells_of or spec.name, profile)
        return Source(path, [], expansion)
    return Source(*read_results(spec, profile, results, source), expansion)


def read_rows(source: str, profile: str, results: Path) -> tuple[Path, list[Row]]:
    """Path and rows of a table: a CSV, or that of a spec.

    Raises
    ------
    InputError
        No such spec, faults in it, or no table yet.
    """
    if source.endswith(".csv"):
        return Path(source), read_csv(Path(source))
    return read_results(_draft(source).spec, profile, results, source)


def chosen_rows(rows: list[Row], only: str | None) -> list[Row]:
    """Rows that fit a filter such as ``panel=depth1,m<=100``; the label of a row is the name of its method."""
    chosen = parse_only(only)
    return [
        r
        for r in rows
        if chosen.admits(Point(r.panel, r.task, r.method, r.depth, r.m, r.s, r.seed, r.method, r.n, r.d))
    ]


def _draft(name: str) -> Draft:
    draft = read_spec(find_spec(name))
    draft.add(claim_faults(draft))
    draft.check()
    return draft


def _single(rows: list[Row], column: str, path: Path) -> str:
    found = sorted({str(getattr(row, column)) for row in rows})
    if len(found) != 1 or not found[0]:
        said = ", ".join(name or "nothing" for name in found) or "nothing"
        raise InputError(f"{path}: column '{column}' must name the one {column} to check; it holds {said}")
    return found[0]
