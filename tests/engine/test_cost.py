"""What a sweep will cost, from what others have cost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpiht_cli import plan
from mlpiht_cli.commands._progress import Progress
from mlpiht_cli.engine.cost import CostModel, duration_text
from mlpiht_cli.plan.cells import Cell, jobs
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv
from mlpiht_cli.specs.point import Point

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


def cell(method: str = "iht", m: int = 10, n: int = 1000, s: int = 5, **settings: object) -> Cell:
    sets = {"task.n": n, "task.d": 20, **{f"method.{name}": value for name, value in settings.items()}}
    return plan.single_cell(Point("a", "planted", method, 1, m, s, 0), sets)


def row(of: Cell, seconds: float, **changes: object) -> Row:
    p, dims = of.point, of.task.dims()
    made = {"cell": of.key, "task": p.task, "method": p.method, "depth": 1, "m": p.m, "s": p.s, "seed": 0}
    made |= {"n": dims.n, "d": dims.d, "params": of.params, "status": "ok", "wall_s": seconds, "device": "cpu: x"}
    return Row.model_validate({**made, **changes})


def law(n: int, m: int, steps: int) -> float:
    return 1e-6 * n * m**0.7 * steps


def test_a_power_law_is_learned_and_stretched() -> None:
    rows = [
        row(cell(m=m, n=n, steps=steps), law(n, m, steps))
        for m in (2, 8, 32, 100, 300)
        for n in (100, 1000, 5000)
        for steps in (5, 50)
    ]
    model = CostModel(rows)
    for n, m, steps in ((500, 20, 10), (50_000, 500, 100)):
        found = model.seconds(cell(m=m, n=n, steps=steps))
        assert found == pytest.approx(law(n, m, steps), rel=0.25)


def test_without_evidence_of_a_size_time_grows_with_it() -> None:
    model = CostModel([row(cell(s=s), 0.1 + s / 1e6) for s in (1, 2, 3)])
    assert model.seconds(cell(n=50_000, s=2)) == pytest.approx(5.0, rel=0.1)


def test_without_evidence_nothing_is_said() -> None:
    few = [row(cell(s=s), 1.0) for s in (1, 2)]
    unfit = [row(cell(s=s), 1.0, **c) for s in (3, 4, 5) for c in ({"status": "failed"}, {"device": "cuda: y"})]
    model = CostModel([*few, *unfit])
    assert model.seconds(cell()) is None
    assert model.total(jobs([cell(), cell("imp")])) is None
    assert model.shares(jobs([cell()])) == {}
    assert CostModel([*few, *unfit], "cuda").seconds(cell()) == pytest.approx(1.0), "three rows of that device"
    assert duration_text(None) == "time unknown"
    assert model.total([]) == 0.0


def test_variants_of_a_method_are_told_apart_where_they_can_be() -> None:
    rows = [row(cell(s=s, inner_steps=i), t) for s in (1, 2, 3) for i, t in ((0, 1.0), (50, 10.0))]
    model = CostModel(rows)
    assert model.seconds(cell(inner_steps=0)) == pytest.approx(1.0, rel=0.05)
    assert model.seconds(cell(inner_steps=50)) == pytest.approx(10.0, rel=0.05)
    assert 1.0 < (model.seconds(cell(inner_steps=7)) or 0.0) < 10.0


def test_a_trajectory_costs_what_its_longest_budget_costs(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 5}\n" for i in range(30)))
    cells = {
        method: [plan.single_cell(Point("a", "tabular", method, 1, 9, s, 0), {"task.path": str(path)}) for s in (1, 2)]
        for method in ("iht", "imp")
    }
    rows = [row(cell(method, s=s), 1.0) for method in ("iht", "imp") for s in (1, 2, 3)]
    model = CostModel(rows)
    one = {method: sum(model.seconds(c) or 0.0 for c in cells[method]) for method in cells}
    assert model.total(jobs(cells["iht"])) == pytest.approx(one["iht"])
    assert model.total(jobs(cells["imp"])) == pytest.approx(one["imp"] / 2, rel=0.3)
    assert sum(model.shares(jobs(cells["imp"])).values()) == pytest.approx(model.total(jobs(cells["imp"])))


def test_longest_first_keeps_the_unknown_and_shared_data_together() -> None:
    model = CostModel([row(cell(m=m), float(m)) for m in (1, 2, 4, 8)])
    parts = model.longest_first(jobs([cell(m=2), cell("imp", m=1), cell(m=8), cell("imp", m=8), cell(m=4)]))
    order = [(job.first.point.method, job.first.point.m) for job in parts]
    assert order[0][0] == order[1][0] == "imp" or order[:2] == [("imp", 1), ("imp", 8)]
    assert [m for method, m in order if method == "iht"] == [8, 4, 2]
    data = [job.first.data_key for job in parts]
    assert len({*data}) == 1 + sum(a != b for a, b in pairwise(data)), "no data set is made twice"


def test_jobs_of_one_seed_follow_each_other_where_costs_do_not_tell() -> None:
    cells = [
        plan.single_cell(Point("a", "planted", "iht", 1, m, 5, seed), {"task.n": 99})
        for m in (2, 4, 8)
        for seed in (0, 1, 2)
    ]
    places = [(job.first.point.seed, job.first.point.m) for job in CostModel([]).longest_first(jobs(cells))]
    assert places == [(seed, m) for seed in (0, 1, 2) for m in (2, 4, 8)]
    known = CostModel([row(cell(m=m), float(m)) for m in (1, 2, 4, 8)]).longest_first(jobs(cells))
    assert [job.first.point.m for job in known] == [8, 8, 8, 4, 4, 4, 2, 2, 2], "a longer job comes first all the same"


def test_workers_share_the_time() -> None:
    model = CostModel([row(cell(s=s), 60.0) for s in (1, 2, 3)])
    parts = jobs([cell(s=s) for s in range(1, 9)])
    assert model.total(parts, 2) == pytest.approx((model.total(parts) or 0.0) / 2, rel=0.02)
    assert model.total(parts, 100) == pytest.approx(60.0, rel=0.02)
    assert duration_text(4810, 2) == "about 1 h 20 min on 2 workers"
    assert [duration_text(t) for t in (0.2, 59.0, 80.0, 200.0)] == [
        "about 1 s",
        "about 59 s",
        "about 80 s",
        "about 3 min",
    ]


def test_real_rows_are_predicted_within_a_factor_of_two() -> None:
    """The laptop profile of Figure 1, seed by seed; one row was made on a machine that stalled (853 s for 6).

    Rows of an earlier version count too: a cell and its row meet by their place.
    """
    rows = [r for r in read_csv(ROOT / "results" / "figure1-laptop.csv") if r.status == "ok"]
    from mlpiht_cli.specs.find import find_spec

    experiment = plan.load(find_spec(str(ROOT / "experiments" / "figure1.yaml")))

    def place(of: Point | Row) -> tuple[object, ...]:
        return of.panel, of.method, of.depth, of.m, of.s, of.seed

    cells = {place(c.point): c for c in experiment.cells("laptop")}
    held = [r for r in rows if r.seed == 0]
    model = CostModel([r for r in rows if r.seed != 0])
    for method in ("iht", "imp"):
        mine = [r for r in held if r.method == method]
        assert mine
        guess = sum(model.seconds(cells[place(r)]) or math.nan for r in mine)
        assert 0.5 < guess / sum(r.wall_s or 0.0 for r in mine) < 2.0


def test_a_dry_run_tells_the_time_once_there_is_evidence(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    assert mlpiht("sweep", "tiny", "--dry-run").out == "16 cells: 16 to run, time unknown\n"
    assert mlpiht("sweep", "tiny", "--dry-run", "--json").json["seconds"] is None
    mlpiht("sweep", "tiny", "--only", "seed=0")
    told = r"16 cells: 8 done, 8 to run, about \d+ s\n"
    assert re.fullmatch(told, mlpiht("sweep", "tiny", "--dry-run").out)
    assert mlpiht("sweep", "tiny", "--dry-run", "--json").json["seconds"] > 0
    assert re.search(told, mlpiht("sweep", "tiny").err)


def test_the_time_left_counts_cells_by_their_cost(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    clock = iter(np.arange(0.0, 1e6, 100.0))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    long, short = (row(cell(m=m), 1.0) for m in (8, 1))
    with Progress(2, False, {long.cell: 3.0, short.cell: 1.0}) as progress:
        progress(long)
    assert "about 2 min left" in capsys.readouterr().err
    with Progress(2, False) as progress:
        progress(long)
    assert "about 5 min left" in capsys.readouterr().err
