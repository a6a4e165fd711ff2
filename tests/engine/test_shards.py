"""Parts of a sweep that need not speak to each other."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli import plan
from mlpiht_cli.engine.arrays import SCHEDULERS, script
from mlpiht_cli.engine.cost import work
from mlpiht_cli.engine.shards import Shard, cells_of, parse_shard, split
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan.cells import Cell, jobs
from mlpiht_cli.specs.point import Point

Run = Callable[..., Any]
TIMES = ("wall_s", "cpu_s", "peak_rss_mb", "peak_cuda_mb", "started_utc")


def cell(method: str, m: int, s: int, seed: int = 0) -> Cell:
    return plan.single_cell(Point("a", "planted", method, 1, m, s, seed), {"task.n": 50, "task.d": 5})


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@given(
    st.lists(st.tuples(st.sampled_from(["iht", "imp"]), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2))),
    st.integers(1, 9),
)
def test_every_cell_is_in_one_part(grid: list[tuple[str, int, int, int]], count: int) -> None:
    cells = [cell(*one) for one in grid]
    parts = [cells_of(cells, Shard(i, count)) for i in range(1, count + 1)]
    assert sorted(c.key for part in parts for c in part) == sorted(c.key for c in cells)
    assert cells_of(cells, None) == cells


def test_cells_of_a_trajectory_stay_together(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 5}\n" for i in range(30)))
    points = [Point("a", "tabular", "imp", 1, m, s, 0) for m in (2, 4) for s in (1, 2, 3)]
    cells = [plan.single_cell(point, {"task.path": str(path)}) for point in points]
    parts = [cells_of(cells, Shard(i, 3)) for i in (1, 2, 3)]
    assert sorted([(c.point.m, c.point.s) for c in part] for part in parts) == [
        [],
        [(2, 1), (2, 2), (2, 3)],
        [(4, 1), (4, 2), (4, 3)],
    ]


def test_parts_are_balanced_by_size_for_each_method() -> None:
    cells = [cell(method, m, 5, seed) for method in ("iht", "imp") for m in (1, 2, 50, 100) for seed in range(4)]
    parts = split(jobs(cells), 4)
    for method in ("iht", "imp"):
        loads = [sum(work(job.first) for job in part if job.first.point.method == method) for part in parts]
        assert max(loads) <= 1.05 * min(loads)


def test_a_part_does_not_depend_on_what_is_done(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    first = mlpiht("sweep", "tiny", "--shard", "1/3", "--json").json
    mlpiht("sweep", "tiny", "--only", "method=iht")
    assert mlpiht("sweep", "tiny", "--shard", "1/3", "--json").json["cells"] == first["cells"]
    assert mlpiht("sweep", "tiny", "--shard", "1/3", "--json").json["ran"] == 0


def test_halves_add_up_to_the_whole(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    counted = [mlpiht("sweep", "tiny", "--shard", f"{i}/2", "--json").json["ran"] for i in (1, 2)]
    assert sum(counted) == 16
    assert min(counted) >= 6
    mlpiht("sweep", "tiny", "--out", "whole")
    assert table(Path("results/tiny.csv")) == table(Path("whole/tiny.csv"))


def test_a_part_may_be_empty(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    assert mlpiht("sweep", "tiny", "--only", "m=2,s=2,seed=0,method=iht", "--shard", "2/2", "--json").json["cells"] == 0


SLURM = {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_MAX": "5"}


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("1/4", {}, (1, 4)),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_COUNT": "4"}, (3, 4)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}, (2, 3)),
        ("auto/9", {**SLURM, "SLURM_ARRAY_TASK_COUNT": "1"}, (4, 9)),
        ("auto/9", {"PBS_ARRAY_INDEX": "9"}, (9, 9)),
    ],
)
def test_places_are_read(text: str, environment: dict[str, str], expected: tuple[int, int]) -> None:
    assert parse_shard(text, environment) == Shard(*expected)


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("0/4", {}, "I from 1 to N"),
        ("5/4", {}, "I from 1 to N"),
        ("1", {}, "I from 1 to N"),
        ("a/b", {}, "I from 1 to N"),
        ("-1/2", {}, "I from 1 to N"),
        ("1/999999999", {}, "I from 1 to N"),
        ("auto", {}, "this is no array job"),
        ("auto/3", {"PBS_ARRAY_INDEX": "4"}, "task 4 of 3"),
        ("auto", {"PBS_ARRAY_INDEX": "4"}, "give auto/N"),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_COUNT": "2"}, "gaps"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "2"}, "task x of 2"),
    ],
)
def test_places_that_make_no_sense(text: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_shard(text, environment)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_scripts_are_bash_and_run_their_part(mlpiht: Run, tiny_spec: str, scheduler: str) -> None:
    folder = Path("a folder; rm -rf $HOME")
    folder.mkdir()
    (folder / "it's.yaml").write_text(tiny_spec)
    words = ("--set", "method.imp.epochs=1", "--only", "method=imp,m<=2", "--out", "o ut", "--time", "01:00:00")
    result = mlpiht("submit", folder / "it's.yaml", "--to", scheduler, "--array", 2, "--print", *words)
    assert result.code == 0
    Path("job.sh").write_text(result.out)
    subprocess.run(["bash", "-n", "job.sh"], check=True)
    assert "01:00:00" in result.out
    index = {"slurm": "SLURM_ARRAY_TASK_ID", "pbs": "PBS_ARRAY_INDEX"}[scheduler]
    code = Path("job.sh").read_text().replace("sweep", "sweep --dry-run --json")
    done = subprocess.run(["bash", "-c", code], env={**os.environ, index: "2"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"cells": 2' in done.stdout


def test_scripts_that_cannot_be_written(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    base = ("submit", "tiny", "--to", "pbs", "--array")
    for words, message in {
        (2,): "add --print",
        (99, "--print"): "only 16 jobs",
        (2, "--print", "--time", "soon"): "as in 12:00:00",
        (1, "--print"): "at least two tasks",
    }.items():
        result = mlpiht(*base, *words)
        assert (result.code, result.out) == (2, "")
        assert message in result.err
    assert "\n#SBATCH --array=1-3\n" in script("slurm", 3, "1:00:00", "x", ["mlpiht"])


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_processes_share_one_folder(mlpiht: Run, tiny_spec: str, count: int) -> None:
    Path("tiny.yaml").write_text(tiny_spec.replace("seeds: [0, 1]", "seeds: [0, 1, 2, 3, 4]"))
    base = [sys.executable, "-m", "mlpiht_cli", "sweep", "tiny", "--out", "shared", "--shard"]
    errors = [Path(f"{i}.err") for i in range(count)]
    processes = []
    for i, path in enumerate(errors, start=1):
        with path.open("w") as file:
            processes.append(subprocess.Popen([*base, f"{i}/{count}"], stderr=file, stdout=subprocess.DEVNULL))
    deadline = time.monotonic() + 850
    assert [process.wait(timeout=deadline - time.monotonic()) for process in processes] == [0] * count
    assert not any("left the table" in path.read_text() for path in errors), "sweeps side by side are no strangers"
    mlpiht("sweep", "tiny", "--out", "alone")
    assert table(Path("shared/tiny.csv")) == table(Path("alone/tiny.csv"))
    assert len(list(Path("shared/.records").rglob("*.json"))) == 40
    assert not list(Path("shared").rglob("*.tmp"))
