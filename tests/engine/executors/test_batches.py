"""What a pool does with its workers' answers and deaths; the workers are made up and run in this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sweeping import records

from mlpiht_cli import plan
from mlpiht_cli.engine.executors import pool
from mlpiht_cli.engine.executors.base import Attempt, WorkerSettings
from mlpiht_cli.engine.executors.pool import Pool
from mlpiht_cli.engine.executors.process import run_batch
from mlpiht_cli.engine.executors.workers import Worker, Workers
from mlpiht_cli.plan.cells import jobs
from mlpiht_cli.records.rows import Row
from mlpiht_cli.tasks.planted import Planted

HERE = WorkerSettings(Path("here"), "cpu", 1)
Run = Callable[..., Any]


class Death(Exception):
    """What a worker's death looks like here."""


class Done:
    """A future that is done."""

    def __init__(self, result: Any, fault: Exception | None) -> None:
        self._result, self._fault = result, fault
        self.status = "error" if fault else "finished"

    def result(self) -> Any:
        return self._result

    def exception(self) -> Exception | None:
        return self._fault

    def add_done_callback(self, call: Callable[[Done], None]) -> None:
        call(self)


class Fake(Workers):
    """Two workers that write in ``root``; a worker that comes to a deadly width dies."""

    here = True

    def __init__(self, root: Path, deadly: int = 0) -> None:
        self.root, self.deadly, self.batches = root, deadly, list[list[int]]()

    def all(self) -> Sequence[Worker]:
        return [Worker("a", "cpu"), Worker("b", "cpu")]

    def submit(self, worker: Worker, function: Callable[..., Any], *args: Any) -> Any:
        batch, settings = args
        widths = [attempt.job.first.point.m for attempt in batch]
        self.batches.append(widths)
        settings = replace(settings, root=self.root)
        if self.deadly not in widths:
            return Done(function(batch, settings), None)
        at = widths.index(self.deadly)
        if at:
            function(batch[:at], settings)
        return Done(None, Death())

    def repair(self) -> None:
        """Nobody is missing."""

    def died(self, error: BaseException | None) -> bool:
        return isinstance(error, Death)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def attempts(mlpiht: Run, tiny_spec: str) -> list[Attempt]:
    """Forty short jobs of a cell each."""
    text = tiny_spec.replace("  - {name: imp, epochs: 2}\n", "").replace("seeds: [0, 1]", "seeds: [0]")
    widths = ", ".join(map(str, range(2, 42)))
    Path("tiny.yaml").write_text(text.replace("m: [2, 3]", f"m: [{widths}]").replace("s: [2, 5]", "s: [2]"))
    parts = jobs(plan.load(Path("tiny.yaml")).cells("paper"))
    return [Attempt(job, {cell.key: 1 for cell in job.cells}) for job in parts]


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    log = logging.getLogger("mlpiht")
    before = log.level
    yield
    log.setLevel(before)


def run(attempts: list[Attempt], workers: Workers) -> list[Row]:
    with Pool(HERE, workers) as executor:
        return list(executor.run(attempts, lambda: False))


def faults(rows: list[Row]) -> dict[int, str]:
    return {row.m: row.reason for row in rows if row.status == "failed"}


@pytest.mark.parametrize("there", ["here", "there"])
def test_every_row_is_recorded_once_wherever_the_workers_write(attempts: list[Attempt], there: str) -> None:
    rows = run(attempts, Fake(Path(there)))
    assert sorted(row.m for row in rows) == list(range(2, 42))
    assert {row.status for row in rows} == {"ok"}
    assert len(records("here")) == len(records(there)) == 40


def test_short_jobs_go_out_together_but_each_worker_has_its_share(attempts: list[Attempt]) -> None:
    workers = Fake(Path("here"))
    run(attempts, workers)
    sizes = [len(widths) for widths in workers.batches]
    assert sizes[0] == 1, "nothing is known of their time yet"
    assert 1 < max(sizes) <= 10, "a quarter of what waits, with two workers"
    assert len(sizes) < 30


@pytest.mark.parametrize("there", ["here", "there"])
def test_only_the_deadly_job_fails(attempts: list[Attempt], there: str) -> None:
    """With a folder that is not shared nobody sees which job of a batch it was: they are tried one by one."""
    workers = Fake(Path(there), deadly=20)
    rows = run(attempts, workers)
    assert len(rows) == 40
    assert faults(rows) == {20: "its worker died before beginning it, several times"}
    assert len(records("here")) == 40
    assert sum(20 in widths for widths in workers.batches) in (4, 5), "once unseen in a batch, perhaps, then alone"


def test_a_job_that_cannot_be_recorded_is_named_and_the_others_go_on(
    attempts: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(batch: Sequence[Attempt], settings: WorkerSettings) -> tuple[list[Row], str]:
        widths = [attempt.job.first.point.m for attempt in batch]
        if 20 not in widths:
            return run_batch(batch, settings)
        rows, _ = run_batch(batch[: widths.index(20)], settings)
        return rows, "OSError: no space left on device"

    monkeypatch.setattr(pool, "run_batch", full)
    rows = run(attempts, Fake(Path("here")))
    assert len(rows) == len(records("here")) == 40
    assert faults(rows) == {20: "OSError: no space left on device"}


def test_a_worker_says_what_went_wrong_and_what_it_had_done(
    attempts: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlpiht_cli.records.store import Store

    write = Store.write

    def refuse(self: Store, row: Row) -> None:
        if row.m == 4:
            raise OSError("no space left on device")
        write(self, row)

    monkeypatch.setattr(Store, "write", refuse)
    rows, error = run_batch(attempts[:5], HERE)
    assert [row.m for row in rows] == [2, 3]
    assert error == "OSError: no space left on device"


def test_a_worker_elsewhere_has_the_sweeps_variables_while_it_works(
    attempts: list[Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPIHT_OFFLINE", "")
    monkeypatch.delenv("MLPIHT_DATA_DIR", raising=False)
    seen: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(
        Planted,
        "build",
        lambda *_: seen.append((os.environ.get("MLPIHT_DATA_DIR"), os.environ.get("MLPIHT_OFFLINE"))),
    )
    settings = replace(HERE, variables=(("MLPIHT_DATA_DIR", "data"), ("MLPIHT_OFFLINE", "1")))
    rows, _ = run_batch(attempts[:1], settings)
    assert [row.status for row in rows] == ["failed"]
    assert seen == [("data", "")], "what the worker says itself counts"
    assert "MLPIHT_DATA_DIR" not in os.environ
