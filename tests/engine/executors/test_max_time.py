"""The end of a sweep's time: what is told of the cells that are under way, and of those that are too long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sweeping import sets

from mlpiht_cli import plan
from mlpiht_cli.engine.cost import CostModel
from mlpiht_cli.engine.executors.base import Running
from mlpiht_cli.engine.waiting import Waiting, longer_than
from mlpiht_cli.plan.cells import Cell, Job, jobs
from mlpiht_cli.records.rows import Row

Run = Callable[..., Any]


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_who_waits_for_running_cells_is_told(start: Run, faulty_spec: Path, count: int) -> None:
    process = start("sweep", faulty_spec, "--max-time", "5s", "--jobs", count, *sets(hangs=9, slow=2), "--json")
    # The first cells are the widest, one of which hangs; the line comes while it does.
    for line in process.stderr:
        if line.startswith("--max-time"):
            break
    assert line.startswith("--max-time is over: no new cells; ")
    assert "under way" in line
    assert "when is unknown, as too few such cells have finished yet; Ctrl-C stops at once" in line
    assert process.poll() is None


def test_a_late_end_is_told_too(start: Run, faulty_spec: Path) -> None:
    process = start("sweep", faulty_spec, "--max-time", "0.1s", *sets(slow=2), "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    facts = json.loads(out)
    assert facts["stopped"] == "--max-time"
    assert facts["seconds_late"] > 1
    assert "stopped by --max-time, " in err
    assert " s after its end, " in err
    assert "cells left; every finished cell is recorded" in err


def test_a_cell_longer_than_the_time_is_told_before_it_begins(mlpiht: Run, spec: Path) -> None:
    text = "and a cell under way is finished; give more time, or end long cells with --cell-timeout"
    first = mlpiht("sweep", spec, "--max-time", "0.0001s", "--dry-run")
    assert "warning" not in first.err, "nothing is known of the time"
    assert mlpiht("sweep", spec, "--max-time", "1h", "--json").json["seconds_late"] == 0
    told = mlpiht("sweep", spec, "--force", "--max-time", "0.00001s", "--dry-run")
    (line,) = (line for line in told.err.splitlines() if "warning" in line)
    assert "--max-time 1e-05 s: one cell (" in line
    assert text in line
    assert "warning" not in mlpiht("sweep", spec, "--force", "--max-time", "1h", "--dry-run").err
    assert "warning" not in mlpiht("sweep", spec, "--max-time", "0.00001s", "--dry-run").err, "all cells are done"


class Known(CostModel):
    """Every cell takes a minute."""

    def more(self, rows: Sequence[Row]) -> CostModel:
        return self

    def seconds(self, cell: Cell) -> float | None:
        return 60.0


@pytest.fixture
def parts(spec: Path) -> list[Job]:
    """Sixteen jobs of a cell each."""
    return jobs(plan.load(spec).cells("paper"))


def rows_of(parts: list[Job], seconds: float) -> list[Row]:
    return [
        Row(
            cell=cell.key,
            spec="tiny",
            figure="Tiny",
            panel="a",
            profile="paper",
            task="planted",
            method=cell.point.method,
            depth=1,
            m=cell.point.m,
            s=cell.point.s,
            seed=cell.point.seed,
            n=60,
            d=6,
            k=1,
            status="ok",
            metric="psnr",
            value=1.0,
            wall_s=seconds,
            device="cpu: this",
            dtype="float32",
            params=cell.params,
        )
        for part in parts
        for cell in part.cells
    ]


def test_the_end_follows_from_expected_times(parts: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    running: list[Running] = []
    waiting = Waiting(Known([]), lambda: running)
    assert waiting() == "", "nothing is under way"
    running.append(Running((parts[0],), 988.0))
    assert waiting() == "1 under way is finished, expected to end in about 48 s"
    running.append(Running(tuple(parts[1:4]), 995.0))
    assert waiting() == "4 under way are finished, expected to end in about 3 min", "a batch ends with its last job"
    running[:] = [Running((parts[0],), 898.0)]
    assert waiting() == "1 under way is finished, expected to end about 42 s ago"


def test_the_sweep_learns_from_its_own_rows(parts: list[Job]) -> None:
    waiting = Waiting(CostModel([]), lambda: [Running((parts[0],), time.monotonic())])
    assert waiting() == "1 under way is finished, when is unknown, as too few such cells have finished yet"
    for row in rows_of(parts, 58.0):
        waiting.learn(row)
    assert waiting().startswith("1 under way is finished, expected to end in about ")


def test_a_run_that_cells_share_stops_at_its_next_row(parts: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    shared = Job(tuple(part.first for part in parts if part.first.method.shares_trajectory)[:2])
    assert len(shared.cells) == 2
    text = Waiting(Known([]), lambda: [Running((shared,), 970.0, whole=False)])()
    assert text == "1 under way is finished, expected to end in about 30 s"
    assert "2 under way are" in Waiting(Known([]), lambda: [Running((shared,), 970.0)])()


def test_the_longest_cell_is_named(parts: list[Job]) -> None:
    cells = [cell for part in parts for cell in part.cells]
    costs = CostModel(rows_of(parts, 60.0))
    assert longer_than(cells, costs, None) == ""
    assert longer_than(cells, costs, 3600) == ""
    assert longer_than([], costs, 1) == ""
    text = longer_than(cells, costs, 2)
    assert text.startswith("--max-time 2 s: one cell (i")
    assert "is expected to take about " in text
