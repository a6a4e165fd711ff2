"""The code that runs inside a worker process: one job at a time, with a log and a time limit."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from mlpiht_cli.engine.executors.base import Attempt, JobRunner, WorkerSettings
from mlpiht_cli.records.rows import Row

HUNG, CRASHED = "Timeout (", "Fatal Python error: "
"""First words of the log of a hung and of a crashed job, as faulthandler writes them."""


@lru_cache(maxsize=1)
def _job_runner(settings: WorkerSettings) -> tuple[JobRunner, threading.Lock]:
    logging.getLogger("mlpiht").setLevel(logging.ERROR)  # the sweep itself has given the warnings about data
    return JobRunner(settings), threading.Lock()


def run_batch(batch: Sequence[Attempt], settings: WorkerSettings) -> tuple[list[Row], str]:
    """Run jobs one after the other, up to the first that cannot be run or recorded.

    Returns
    -------
    tuple
        The rows, which are recorded, and the error of the job that follows them; empty if there was none.
    """
    runner, lock = _job_runner(settings)
    rows: list[Row] = []
    with lock, _variables(settings):
        try:
            for attempt in batch:
                for row in _rows(attempt, runner, settings):
                    rows.append(row)  # one by one: rows before an error are kept
        except Exception as error:
            return rows, f"{type(error).__name__}: {error}"
    return rows, ""


@contextmanager
def _variables(settings: WorkerSettings) -> Iterator[None]:
    """Set the sweep's environment variables, but for those that the worker has set itself."""
    missing = {name: value for name, value in settings.variables if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _rows(attempt: Attempt, runner: JobRunner, settings: WorkerSettings) -> Iterator[Row]:
    """Rows of a job as they come.

    The job's log exists from now on until the job ends well, so that a worker that dies leaves it behind.
    """
    with _watched(attempt.log(runner.store), settings) as heartbeat:
        for row in runner.run(attempt):
            heartbeat()
            yield row


@contextmanager
def _watched(path: Path, settings: WorkerSettings) -> Iterator[Callable[[], None]]:
    """Keep a log while a job runs, and end this process when a cell takes too long.

    The timer is a thread in C that needs none of Python's locks, so no cell can hold it up. It writes where the cell
    hangs, and the process ends at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+", encoding="utf-8") as log:

        def heartbeat() -> None:
            if settings.cell_timeout is not None:
                faulthandler.dump_traceback_later(settings.cell_timeout, exit=True, file=log)

        faulthandler.enable(file=log)
        heartbeat()
        try:
            yield heartbeat
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
    if not path.stat().st_size:  # it holds the traceback of a cell that failed, if one did
        path.unlink()
