"""The default executor: jobs run one after the other in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from mlpiht_cli.engine.executors.base import Attempt, Executor, JobRunner, Running, WorkerSettings
from mlpiht_cli.plan.cells import Job
from mlpiht_cli.records.rows import Row


class Serial(Executor):
    """Runs jobs in this process; it stops at the end of a cell."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._running: Running | None = None

    def running(self) -> list[Running]:
        """See :meth:`Executor.running`; the time of a shared trajectory counts from its beginning."""
        one = self._running
        return [one] if one is not None else []

    def run(self, attempts: Iterable[Attempt], stopped: Callable[[], bool]) -> Iterator[Row]:
        """See :meth:`Executor.run`."""
        runner = JobRunner(self._settings)
        for attempt in attempts:
            if stopped():
                return
            attempt.log(runner.store).unlink(missing_ok=True)  # a sweep that was killed may have left one
            since, left = time.monotonic(), list(attempt.job.cells)
            self._running = Running((attempt.job,), since, whole=False)
            for row in runner.run(attempt):
                left = [cell for cell in left if cell.key != row.cell]
                self._running = Running((Job(tuple(left)),), since, whole=False) if left else None
                yield row
                if stopped():
                    self._running = None
                    return
            self._running = None
