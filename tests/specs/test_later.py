"""Settings that came after rows were published: keys and rows stay as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpiht_cli import plan
from mlpiht_cli.analysis.tables import GivenSettings
from mlpiht_cli.analysis.variants import LATER
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.records.table import read_csv
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.point import Point

RESULTS = Path(__file__).resolve().parents[2] / "results"
POINT = Point("", "planted", "iht_realloc", 1, 2, 3, 0)
KINDS = {**TASKS, **METHODS}


@pytest.mark.parametrize("name", ["recovery", "table1"])
def test_keys_are_those_of_the_rows_that_were_published(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of an earlier version have the keys of today's code with that version."""
    rows = read_csv(RESULTS / f"{name}.csv")
    assert rows
    for row in rows:
        monkeypatch.setattr(METHODS[row.method], "version", row.params["method"]["version"])
    cells = {cell.key: cell for cell in plan.load(find_spec(name)).cells("paper")}
    for row in rows:
        assert row.params == json.loads(json.dumps(cells[row.cell].params)) | {
            key: value for key, value in row.params.items() if key == "data"
        }


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].later])
def test_what_rows_lack_is_the_default(name: str) -> None:
    kind = KINDS[name]
    assert kind.later <= kind.model_fields.keys()
    assert {field: kind.model_fields[field].default for field in kind.later} == {
        field: LATER[field] for field in kind.later
    }
    assert not kind.later & kind().recorded().keys()


def test_every_other_value_counts() -> None:
    keys = {
        json.dumps(sets): plan.single_cell(POINT, sets).key
        for sets in ({}, {"task.signs": "mixed"}, {"method.signs": "both"})
    }
    assert len(set(keys.values())) == 3
    written_out = plan.single_cell(POINT, {"task.signs": "positive", "method.signs": "positive"})
    assert written_out.key == keys["{}"]
    assert "signs" not in {**written_out.params["task"], **written_out.params["method"]}
    both = plan.single_cell(POINT, {"task.signs": "mixed", "method.signs": "both"})
    assert (both.params["task"]["signs"], both.params["method"]["signs"]) == ("mixed", "both")


def test_rows_without_the_setting_stand_where_it_has_its_default() -> None:
    row = next(row for row in read_csv(RESULTS / "recovery.csv") if row.method == "iht_realloc")
    for told, fits in (({}, True), ({"signs": "positive"}, True), ({"signs": "both"}, False)):
        assert GivenSettings("iht_realloc", {}, told).fit(row) == fits
    for told, fits in (({"signs": "positive"}, True), ({"signs": "mixed"}, False)):
        assert GivenSettings("iht_realloc", told, {}).fit(row) == fits


SPEC = """\
spec_version: 1
name: signs
title: Signs
source: test
seeds: [0]
methods:
  - {name: iht_realloc, label: one, rounds: 1, signs: positive}
  - {name: iht_realloc, label: two, rounds: 1, signs: both}
panels:
  - name: a
    task: {name: planted, n: 60, d: 6}
    m: [2]
    s: [4]
figure: {label: Hand}
claims:
  - {name: fits, says: It fits., measure: share_above, method: one, level: 0, at_least: 1}
"""


def test_tables_keep_variants_apart_and_old_rows_in_place(mlpiht: Callable[..., Any]) -> None:
    """Swept before there was the setting: its rows are those of the variant with the default."""
    Path("signs.yaml").write_text(SPEC)
    Path("before").mkdir()
    lines = [line for line in SPEC.replace(", signs: positive", "").splitlines() if "signs: both" not in line]
    Path("before/signs.yaml").write_text("\n".join(lines))
    assert mlpiht("sweep", "before/signs.yaml").code == 0
    assert "2 cells: 1 done, 1 to run" in mlpiht("sweep", "signs", "--dry-run").err
    alone = mlpiht("check", "signs", "--json").json
    assert mlpiht("sweep", "signs").code == 0
    one, two = sorted(read_csv(Path("results/signs.csv")), key=lambda row: "signs" in row.params["method"])
    assert "signs" not in one.params["method"]
    assert two.params["method"]["signs"] == "both"
    assert mlpiht("check", "signs", "--json").json["claims"] == alone["claims"]
    drawn = mlpiht("plot", "signs", "--format", "svg")
    assert drawn.code == 0
    assert "row(s)" not in drawn.err, "none is stray, and none in another's place"
    assert mlpiht("status", "signs").out.count(" 1 ok") == 2
