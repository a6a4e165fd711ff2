"""The default executor: jobs run one after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlpiht_cli.engine.executors.base import Attempt, Executor, JobRunner, WorkerSettings
from mlpiht_cli.records.rows import Row


class Serial(Executor):
    """Runs jobs in this process; it stops at the end of a cell."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def run(self, attempts: Iterable[Attempt], stopped: Callable[[], bool]) -> Iterator[Row]:
        """See :meth:`Executor.run`."""
        runner = JobRunner(self._settings)
        for attempt in attempts:
            if stopped():
                return
            attempt.log(runner.store).unlink(missing_ok=True)  # a sweep that was killed may have left one
            for row in runner.run(attempt):
                yield row
                if stopped():
                    return
