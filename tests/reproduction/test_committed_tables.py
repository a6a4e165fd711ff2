"""The committed tables: nothing failed, every row says how it was made, and today's code would make the same cells.

Rows of an earlier version are allowed where the page and `status` say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import pytest

from experiments.committed import ROOT, Table, committed
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.records.rows import DONE, Row
from mlpiht_cli.records.table import PROFILES, table_name
from mlpiht_cli.tasks import datasets


@pytest.fixture
def own(found: Sequence[Table]) -> list[Table]:
    """Tables beside their own specs; cells that a spec takes from another are looked at there."""
    return [table for table in found if table.spec.cells_of is None]


def test_every_committed_table_is_of_a_spec_and_profile(own: Sequence[Table]) -> None:
    rows = [path for path in committed("results") if path.suffix == ".csv" and path.parent == ROOT / "results"]
    tables = {path for path in rows if "cell" in path.read_text(encoding="utf-8").partition("\n")[0].split(",")}
    assert tables
    assert tables == {table.path for table in own}
    for table in own:
        named = {(row.spec, row.profile) for row in table.rows}
        assert named == {(table.spec.name, table.profile)}, table.path
        assert table.path.name == table_name(table.spec.name, table.profile)
        assert table.profile in PROFILES


def test_no_cell_failed_and_what_has_no_score_says_why(own: Sequence[Table]) -> None:
    for table in own:
        bad = [row.cell for row in table.rows if row.status not in DONE or (row.status != "ok" and not row.reason)]
        unscored = [row.cell for row in table.rows if row.status == "ok" and row.value is None and not row.reason]
        assert not bad, table.path
        assert not unscored, table.path


def lacks(row: Row) -> list[str]:
    """What a row does not say of how it was made."""
    found = [name for name in ("device", "mlpiht", "torch", "numpy", "python", "dtype") if not getattr(row, name)]
    found += ["git_sha"] if not re.fullmatch("[0-9a-f]{40}", row.git_sha) else []
    found += ["git_dirty"] if row.git_dirty is not False else []
    found += ["threads"] if not row.threads else []
    found += ["blas"] if row.schema_ > 2 and not row.blas else []
    if row.status == "skipped":  # nothing was run: there is no start
        return found
    try:
        utc = datetime.fromisoformat(row.started_utc).utcoffset()
    except ValueError:
        utc = None
    found += ["started_utc"] if utc is None or utc.total_seconds() else []
    return found + [name for name in ("n", "d", "k", "wall_s", "metric") if getattr(row, name) in (None, "")]


def test_every_row_says_how_it_was_made(own: Sequence[Table]) -> None:
    for table in own:
        assert not {row.cell: missing for row in table.rows if (missing := lacks(row))}, table.path


def renewed(row: Row, cells: Sequence[Cell]) -> bool:
    """Whether a row differs from a cell of today's code in nothing but an earlier version of its task or method."""
    for cell in cells:
        now, made = cell.params, {part: dict(row.params[part]) for part in ("task", "method")}
        older = [made[part]["version"] < now[part]["version"] for part in made]
        for part in made:
            made[part]["version"] = now[part]["version"]
        if any(older) and made == now:
            return True
    return False


def test_every_row_is_of_a_cell_that_todays_code_would_make(
    own: Sequence[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A default or setting that changes makes rows stale: sweep again. So does a version, and then the page says so."""
    for table in own:
        files = [row.unofficial for row in table.rows if row.unofficial]
        assert all(one == files[0] for one in files), f"{table.path.name}: made with several data files"
        # As if the files that the rows name were at hand: what is not official is part of a cell's key.
        monkeypatch.setattr(datasets, "unofficial", lambda _, told=files[0] if files else {}: told)
        fresh, stale = Table(table.spec, table.profile, table.path), 0
        cells = {(cell.point.panel, cell.key): cell for cell in fresh.cells}
        for row in table.rows:
            cell = cells.get((row.panel, row.cell))
            where = f"{table.path.name}: {row.panel} {row.method} m={row.m} s={row.s} seed={row.seed}"
            if cell is None:
                stale += 1
                near = [one for one in fresh.cells if one.fits(row)]
                assert renewed(row, near), f"{where} is of no cell; see `mlpiht status {table.spec.name} --why`"
                continue
            assert cell.fits(row), where
            assert {part: row.params[part] for part in ("task", "method")} == cell.params, where
        assert stale == table.earlier.total(), f"{table.path}: the page does not say how many rows are stale"
        places = [(row.panel, row.cell) for row in table.rows]
        assert len(places) == len(set(places)), f"{table.path} has a cell twice"
