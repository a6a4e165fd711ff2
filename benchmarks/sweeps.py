"""Part (f): the overhead of a sweep per cell, and the time of `status` and a resumed sweep to read many records."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import clock, common
from benchmarks.clock import Seconds
from benchmarks.common import Plan, Row
from mlpiht_cli import plan as plans
from mlpiht_cli.engine.runner import row_of
from mlpiht_cli.records.table import read_csv

JOBS = (1, 2)
CELLS, RECORDS = 1000, 100_000
QUICK_CELLS, QUICK_RECORDS = 4, 20
BUDGETS = 100
SPEC = """\
spec_version: 1
name: trivial
title: Trivial cells
source: benchmark
seeds: {seeds}
methods:
  - {{name: iht_linear, steps: 1}}
panels:
  - name: a
    task: {{name: gaussian_sparse, n: 5, d: 100}}
    m: [1]
    s: {budgets}
figure: {{label: none, kind: curve, metric: relative_error, limits: [0, 1]}}
"""


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the overhead per cell with one and two processes, and the reading of many records."""
    cells, records = (QUICK_CELLS, QUICK_RECORDS) if plan.quick else (CELLS, RECORDS)
    with tempfile.TemporaryDirectory() as folder:
        for jobs in JOBS:
            if plan.wants(f"sweep-jobs{jobs}"):
                taken = [_overhead(Path(folder, f"{jobs}-{i}"), cells, jobs) for i in range(plan.repeats)]
                yield _row(f"sweep-jobs{jobs}", cells, "a cell beyond its work", taken)
        if plan.wants("status"):
            spec = _spec(Path(folder, "many"), records)
            _fill(spec, Path(folder, "many"))
            commands = {"status": ["status"], "status-why": ["status", "--why"], "resume": ["sweep", "--dry-run"]}
            for name, command in commands.items():
                taken = [launched([*command, str(spec), "--out", str(spec.parent)]) for _ in range(plan.repeats)]
                yield _row(name, records, "the command", taken)


def _row(name: str, cells: int, what: str, taken: Sequence[Seconds]) -> Row:
    spread = clock.spread("ours", taken)
    return {"name": name, "cells": cells, "of": what, **spread, "repeats": len(taken), **common.machine()}


def _overhead(folder: Path, cells: int, jobs: int) -> Seconds:
    """Return the seconds per cell without the start of the command and without the fits, which the processes share.

    Making the data and scoring count as overhead here; they take almost no time for trivial cells. A fit on one thread
    takes as much processor time as wall time.
    """
    spec = _spec(folder, cells)
    words = ["sweep", str(spec), "--jobs", str(jobs), "--out"]
    start = launched([*words, str(folder / "start"), "--only", "seed=0,s<=2"])
    whole = launched([*words, str(folder / "all")])
    work = sum(row.wall_s or 0.0 for row in read_csv(folder / "all" / "trivial.csv"))
    return Seconds((whole.wall - start.wall - work / jobs) / cells, (whole.cpu - start.cpu - work) / cells)


def _spec(folder: Path, cells: int) -> Path:
    """Write a spec with a number of trivial cells."""
    folder.mkdir()
    budgets = min(BUDGETS, cells)
    path = folder / "trivial.yaml"
    path.write_text(SPEC.format(seeds=list(range(cells // budgets)), budgets=list(range(1, budgets + 1))))
    return path


def _fill(spec: Path, results: Path) -> None:
    """Write a record for each cell of a spec, as if it had been run; syncing each file would take minutes."""
    scored = {"status": "ok", "n": 5, "d": 100, "k": 1, "metric": "relative_error", "value": 0.5, "wall_s": 0.01}
    for i, cell in enumerate(plans.load(spec).cells("paper")):
        row = row_of(cell, {**scored, "device": "cpu: none", "threads": 1})
        path = results / ".records" / cell.key[:2] / f"{cell.key}.0001.{i:08x}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row.model_dump_json(by_alias=True, indent=1))


def launched(words: Sequence[str]) -> Seconds:
    """Return the seconds of a command line in its own process."""
    began = clock.now()
    subprocess.run([sys.executable, "-m", "mlpiht_cli", "-q", *words], check=True, capture_output=True)
    return clock.since(began)
