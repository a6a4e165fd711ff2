"""``mlpiht rerun``: rows of a table made again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv, to_csv

Run = Callable[..., Any]


@pytest.fixture
def table(mlpiht: Run, tmp_path: Path, tiny_spec: str) -> Path:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    assert mlpiht("sweep", "tiny.yaml").code == 0
    return next((tmp_path / "results").glob("*.csv"))


def doctored(table: Path, **changes: Any) -> None:
    first, *rest = (row for row in read_csv(table) if row.status == "ok")
    table.write_text(to_csv([first.model_copy(update=changes), *rest]), newline="")


def test_rows_come_out_as_they_stand_in_the_table(mlpiht: Run, table: Path) -> None:
    before, rows = table.read_bytes(), read_csv(table)
    found = mlpiht("rerun", table, "--mode", "exact", "--limit", len(rows), "--json")
    assert found.code == 0
    assert (found.json["equal"], found.json["left_out"]) == (len({row.cell for row in rows}), 0)
    assert table.read_bytes() == before, "the table is left as it is"
    made = {row["cell"]: row for row in found.json["rows"]}
    for row in rows:
        flat = row.flat()
        assert (made[row.cell]["value"], made[row.cell]["nnz"]) == (flat["value"], flat["nnz"])
    by_spec = mlpiht("rerun", "tiny.yaml", "--limit", 1)
    assert by_spec.code == 0
    assert "1 equal, 0 different, 0 missing" in by_spec.out
    assert f"({len(made)} fit, see --limit)" in by_spec.out


def test_rows_from_before_a_measure_are_as_they_were(mlpiht: Run, table: Path) -> None:
    """A row that lacks a measure of today is equal to the one made again, and claims read it."""
    rows = read_csv(table)
    assert all("packed_bytes" in row.measures for row in rows if row.status == "ok")
    older = [row.model_copy(update={"measures": {}, "schema_": 2}) for row in rows]
    table.write_text(to_csv(older), newline="")
    found = mlpiht("rerun", table, "--mode", "exact", "--limit", len(rows), "--json")
    assert found.code == 0
    assert found.json["different"] == found.json["missing"] == []
    assert mlpiht("sweep", "tiny.yaml", "--dry-run").err.endswith("16 cells: 16 done\n")
    assert mlpiht("plot", "tiny.yaml", "--format", "svg").code == 0


def test_a_forged_number_is_seen(mlpiht: Run, table: Path) -> None:
    row = next(row for row in read_csv(table) if row.status == "ok")
    doctored(table, value=99.0, psnr=99.0)
    found = mlpiht("rerun", table, "--only", f"m={row.m},s={row.s},seed={row.seed},method={row.method}")
    assert found.code == 1
    assert "in the table 99" in found.err
    assert "1 different" in found.out


def test_mode_stat_compares_the_means_over_the_seeds_of_a_place(mlpiht: Run, table: Path) -> None:
    rows = [row for row in read_csv(table) if row.status == "ok"]
    places: dict[Any, list[Row]] = {}
    for row in rows:
        places.setdefault((row.panel, row.method, row.m, row.s), []).append(row)
    (first, *_, last) = next(
        sorted(found, key=lambda row: row.psnr or 0.0)
        for found in places.values()
        if len(found) > 1 and all(math.isfinite(row.psnr or math.nan) for row in found)
    )
    assert (last.psnr or 0.0) > (first.psnr or 0.0) + 0.5, "close, and the test would say nothing"

    def rerun(mode: str, **psnr: float | None) -> Any:
        forged = {first.cell: psnr["first"], last.cell: psnr["last"]}
        table.write_text(
            to_csv(
                row.model_copy(update={"value": forged[row.cell], "psnr": forged[row.cell]})
                if row.cell in forged
                else row
                for row in rows
            ),
            newline="",
        )
        return mlpiht("rerun", table, "--mode", mode, "--limit", len(rows), "--json")

    assert len(rerun("close", first=last.psnr, last=first.psnr).json["different"]) == 2
    swapped = rerun("stat", first=last.psnr, last=first.psnr)
    assert swapped.code == 0
    assert swapped.json["equal"] == len(places)
    assert "seed" not in swapped.json["keys"]
    off = rerun("stat", first=(first.psnr or 0.0) + 500.0, last=(last.psnr or 0.0) + 500.0)
    assert off.code == 1
    assert [one["where"]["m"] for one in off.json["different"]] == [first.m]


def test_other_kernels_are_named_where_the_digits_differ(mlpiht: Run, table: Path) -> None:
    row = next(row for row in read_csv(table) if row.status == "ok")
    assert row.value is not None
    assert row.blas
    nearly, told = row.value * (1 + 1e-13), "; other digits, made with "
    for blas, named in (("torch other", "torch other"), ("", "not named")):
        doctored(table, value=nearly, psnr=nearly, blas=blas)
        found = mlpiht("rerun", table, "--limit", 1, "--mode", "exact")
        assert found.code == 0
        assert f"{told}{row.blas}; the table's BLAS: {named}\n" in found.err
    doctored(table, value=row.value, psnr=row.value, blas="torch other")
    assert told not in mlpiht("rerun", table, "--limit", 1).err, "the digits are the same"
    doctored(table, value=nearly, psnr=nearly, blas=row.blas)
    assert told not in mlpiht("rerun", table, "--limit", 1).err, "the kernels are the same"


def test_settings_that_there_are_not_any_more_are_named(mlpiht: Run, table: Path) -> None:
    row = next(row for row in read_csv(table) if row.status == "ok")
    doctored(table, params={**row.params, "method": {**row.params["method"], "stepps": 3}})
    found = mlpiht("rerun", table)
    assert found.code == 2
    assert f"row {row.cell}: " in found.err
    assert "stepps" in found.err
    doctored(table, params={})
    assert "its params have no settings of the task" in mlpiht("rerun", table).err


def test_rows_of_an_older_method_are_named(mlpiht: Run, table: Path) -> None:
    doctored(table, cell="0123abcd")
    assert "another version of task or method" in mlpiht("rerun", table, "--limit", 1).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "m=77"], "no finished row fits --only m=77"),
        (["--only", "mm=7"], "--only"),
        (["--limit", 0], "--limit"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
)
def test_bad_input_is_one_message(mlpiht: Run, table: Path, words: list[Any], message: str) -> None:
    found = mlpiht("rerun", table, *words)
    assert found.code == 2
    assert message in found.err
    assert found.out == ""
