"""Panels that run their task at several n and d."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from mlpiht_cli import plan
from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.tables import placed
from mlpiht_cli.checks.claims import check_claims
from mlpiht_cli.plan.registry import TASKS
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import read_csv
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.filters import parse_only
from mlpiht_cli.specs.point import Point
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.tasks.gaussian import GaussianSparse
from tests.hand import VARIED as SPEC

Run = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "varied.yaml").write_text(SPEC)
    return tmp_path / "varied.yaml"


def test_the_task_is_run_at_each_size(path: Path) -> None:
    experiment = plan.load(path)
    cells = experiment.cells("paper")
    assert len(cells) == 3 * 2 * 2 * 2 + 2
    for cell in cells:
        dims = cell.task.dims()
        assert (cell.point.n, cell.point.d) == ((dims.n, dims.d) if cell.point.panel == "a" else (None, None))
    small = [cell for cell in experiment.cells("smoke") if cell.point.panel == "a"]
    assert {(cell.point.n, cell.point.d) for cell in small} == {(20, 16)}
    assert sum(cell.point.panel == "b" for cell in experiment.cells("smoke")) == 2, "b varies nothing to keep"


def test_a_varied_setting_is_the_same_cell_as_a_given_one(path: Path) -> None:
    cells = plan.load(path).cells("paper")
    keys = {name: {cell.key for cell in cells if cell.point.panel == name} for name in "ab"}
    assert len(keys["a"]) == 24
    assert keys["b"] < keys["a"], "n = 20, d = 16, s = 2 stands in both"
    point = Point("", "gaussian_sparse", "iht_linear", 1, 1, 2, 0)
    alone = plan.single_cell(point, {"task.n": 20, "task.d": 16, "method.steps": 3})
    assert alone.key in keys["b"]


@pytest.mark.parametrize(
    ("only", "count"),
    [("n=10", 8), ("n>=20,d=8", 8), ("n!=10", 16), ("d=16", 12), ("panel=b,n=20", 0), ("panel=b,n!=7", 0)],
)
def test_filters_choose_among_sizes(path: Path, only: str, count: int) -> None:
    wanted, expansion = parse_only(only), expand(load_spec(path))
    assert sum(wanted.admits(point) for point in expansion.points) == count
    assert sum(part.total for part in wanted.parts(expansion)) == count


FAULTS = {
    "no such setting": ("name: gaussian_sparse}", "name: mnist}", ":13:5: panels[0].n: task mnist has no setting n"),
    "given twice": (
        "sparse}",
        "sparse, d: 8}",
        ":10:35: panels[0].task.d: the panel varies d: leave it out",
    ),
    "set by a profile": (
        "d: [16]}",
        "d: [16], set: {task.n: 5}}",
        "smoke.set.task.n: panel 'a' varies n: give",
    ),
    "nowhere": ("n: [20], d", "n: [11, 20], d", "profiles.smoke.n[0]: 11 is in no panel"),
    "twice": ("[10, 20, 40]", "[10, 20, 20]", ":13:5: panels[0].n: holds a value twice"),
    "no value": ("[10, 20, 40]", "[]", ":13:5: panels[0].n: the grid is empty"),
    "zero": ("[10, 20, 40]", "[0, 10]", ":13:9: panels[0].n[0]: it must be 1 or more"),
    "no integer": ("[10, 20, 40]", "[10, 1.5]", ":13:13: panels[0].n[1]: it must be a whole number"),
    "budget above the smaller d": ("s: [2, 3]", "s: [2, 12]", "panels[0].s: s=12 is above the 8 weights"),
    "too many": ("[10, 20, 40]", str(list(range(1, 30000))), "panels: 239994 cells are more than 200000"),
    "a map of many sizes": (
        "kind: curve, x: n,",
        "kind: heatmap,",
        ":26:22: figure.views[0].kind: a heatmap is over m",
    ),
    "a curve over what is fixed": (
        "panels: [a], title",
        "panels: [b], title",
        "figure.views[0].x: panel 'b' does not vary n",
    ),
    "a difference from nobody": (
        "  metric: relative_error\n",
        "  metric: relative_error\n  against: iht_liner\n",
        "figure.views[0].against: no method 'iht_liner', did you mean 'iht_linear'?",
    ),
    "a law of one size": (
        "scaling, panels: [a]",
        "scaling, panels: [b]",
        "views[2].kind: scaling needs panels that vary n",
    ),
    "a law without a level": ("  level: 0.5\n  falling", "  falling", "views[2].level: scaling needs the level"),
    "a share of one size": (
        "scaling, panels: [a]",
        "success, panels: [b]",
        "views[2].kind: success needs panels that vary n; 'b' does not",
    ),
    "an unknown kind": (
        "kind: scaling",
        "kind: scalling",
        "views[2].kind: unknown kind 'scalling', did you mean 'scaling'",
    ),
    "an unknown panel": ("panels: [a], title", "panels: [c], title", "figure.views[0].panels[0]: unknown panel 'c'"),
    "a view twice": ("name: losses", "name: curves", "figure.views[1].name: two views have the same name, 'curves'"),
    "an unknown field": ("kind: table", "kid: table", "figure.views[3].kid: unknown field, did you mean 'kind'?"),
    "a threshold of two": ("a,d=16,s=2", "a,s=2", "claims[1].where: threshold_n is of one panel, m, s and d, not of 2"),
    "a threshold without level": (
        "level: 0.5\n    falling: true\n    where: panel=a,d",
        "where: panel=a,d",
        "claims[1].level",
    ),
    "a threshold without n": ("panel=a,d=16,s=2", "panel=b", "claims[1].where: threshold_n needs panels that vary n"),
    "a slope over one d": (
        "panel=a,s=2\n    at_most: 2",
        "d=8,s=2\n    at_most: 2",
        "claims[2].where: slope_in_d needs two d",
    ),
    "a picture of many": (
        "profiles:\n  smoke",
        "pictures: [{name: p, panel: a, m: 1, s: [2]}]\nprofiles:\n  smoke",
        "pictures[0].panel: panel 'a' varies n or d",
    ),
    "claim on nothing": ("n>=20,d=16", "n>=50", "claims[0].where: no cell of varied fits"),
}


@pytest.mark.parametrize("name", [name for name in FAULTS])
def test_faults_are_placed(mlpiht: Run, name: str) -> None:
    old, new, message = FAULTS[name]
    assert old in SPEC
    Path("varied.yaml").write_text(SPEC.replace(old, new, 1))
    result = mlpiht("validate", "varied.yaml")
    assert result.code == 2
    assert message in result.err
    assert "varied.yaml:" in result.err


def test_a_share_of_successes_needs_a_level(mlpiht: Run) -> None:
    text = SPEC.replace("kind: scaling", "kind: success", 1)
    Path("varied.yaml").write_text(text)
    assert mlpiht("validate", "varied.yaml").code == 0
    Path("varied.yaml").write_text(text.replace("  level: 0.5\n  falling", "  falling", 1))
    result = mlpiht("validate", "varied.yaml")
    assert result.code == 2
    assert "views[2].level: success needs the level of the metric that a seed has to reach" in result.err


def test_a_size_that_the_task_refuses_is_placed(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(GaussianSparse):
        n: int = Field(200, ge=20)

    monkeypatch.setitem(TASKS, "gaussian_sparse", Picky)
    Path("varied.yaml").write_text(SPEC)
    result = mlpiht("validate", "varied.yaml")
    assert result.code == 2
    assert ":13:5: panels[0].n: it must be 20 or more, got 10" in result.err


def test_set_does_not_override_what_a_panel_varies(mlpiht: Run) -> None:
    Path("varied.yaml").write_text(SPEC)
    result = mlpiht("sweep", "varied", "--set", "task.n=5", "--dry-run")
    assert result.code == 2
    assert "--set task.n: panel 'a' varies n; choose among its values with --only n=" in result.err
    assert mlpiht("sweep", "varied", "--set", "method.steps=2", "--dry-run").code == 0


def test_a_sweep_over_sizes_resumes_and_is_placed(mlpiht: Run) -> None:
    Path("varied.yaml").write_text(SPEC)
    assert mlpiht("sweep", "varied", "--only", "n=10").code == 0
    assert "26 cells: 8 done, 18 to run" in mlpiht("sweep", "varied", "--dry-run").err
    assert mlpiht("sweep", "varied").code == 0
    assert "26 cells: 26 done" in mlpiht("sweep", "varied", "--dry-run").err
    rows = read_csv(Path("results/varied.csv"))
    expansion = expand(load_spec(Path("varied.yaml")))
    table = placed(expansion, rows)
    assert len(table) == 26
    for place, row in table.items():
        assert (place.n, place.d) == ((row.n, row.d) if place.panel == "a" else (None, None))
    assert set(table) == {RowKey(p.panel, p.label, p.m, p.s, p.seed, p.n, p.d) for p in expansion.points}
    chosen = [row.value for row in rows if row.panel == "a" and (row.n or 0) >= 20 and row.d == 16]
    judged = check_claims(expansion, rows)[0]
    assert judged.measured == pytest.approx(sum(v or 0 for v in chosen) / len(chosen))
    assert judged.cells == judged.cells_used == 4


def test_rows_that_were_not_scored_are_placed_too(mlpiht: Run) -> None:
    """Cells skipped in a panel that varies nothing are cells of one that varies n and d, too."""
    text = SPEC[: SPEC.index("claims:")].replace("gaussian_sparse", "planted").replace("m: [1]", "m: [1]\n    depth: 2")
    text = text.replace("s: [2", "s: [4").replace("s: [4, 3]", "s: [4, 5]").replace("iht_linear", "iht")
    Path("varied.yaml").write_text(text)
    mlpiht("sweep", "varied", "--only", "panel=b")
    rows = read_csv(Path("results/varied.csv"))
    assert {(row.panel, row.n, row.d) for row in rows} == {("b", None, None), ("a", 20, 16)}
    mlpiht("sweep", "varied")
    rows = read_csv(Path("results/varied.csv"))
    assert {row.status for row in rows} == {"skipped"}
    records = [row for _, row in Store(Path("results")).every() if row is not None]
    assert {(row.n is None, row.d is None) for row in records if row.panel == "a"} == {(False, False)}
    assert len(placed(expand(load_spec(Path("varied.yaml"))), rows)) == 26


def test_a_row_of_another_size_is_not_taken(mlpiht: Run) -> None:
    Path("varied.yaml").write_text(SPEC)
    mlpiht("sweep", "varied", "--only", "n=10,d=8,s=2,seed=0")
    table = Path("results/varied.csv")
    table.write_text(table.read_text().replace(",10,8,1,2,0,", ",20,8,1,2,0,"))
    for record in Path("results/.records").glob("*/*.json"):
        record.unlink()
    assert "26 cells: 26 to run" in mlpiht("sweep", "varied", "--dry-run").err


def test_profiles_of_one_size_leave_a_map(path: Path) -> None:
    assert all(len(grid.sizes) == 1 for grid in expand(load_spec(path), "smoke").grids)
