"""The contract of an executor, and how one process runs a job: the same in every executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mlpiht_cli.engine.runner import Runner, pick_device
from mlpiht_cli.plan.cells import Cell, Job
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store


@dataclass(frozen=True)
class Attempt:
    """A job that is to be run, and the number of the attempt for each of its cells, by key."""

    job: Job
    numbers: Mapping[str, int]

    @property
    def name(self) -> str:
        """Key of the job's first cell."""
        return self.job.first.key

    def log(self, store: Store) -> Path:
        """Path of the log."""
        return store.log(self.name, self.numbers[self.name])


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker runs jobs, and where it writes.

    Attributes
    ----------
    root
        The results folder.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.
    threads
        torch's threads; None keeps torch's own number.
    cell_timeout
        Most seconds that one cell may take.
    variables
        Environment variables of the sweep, for workers on other machines.
    """

    root: Path
    device: str
    threads: int | None = None
    cell_timeout: float | None = None
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Running:
    """Jobs that one worker runs.

    Attributes
    ----------
    jobs
        Jobs, with the cells that have no row yet.
    since
        When they began, on the clock of ``time.monotonic``.
    whole
        Whether the worker finishes all of them before it stops; else it stops at the next row.
    """

    jobs: tuple[Job, ...]
    since: float
    whole: bool = True

    @property
    def cells(self) -> list[Cell]:
        """The cells of all jobs."""
        return [cell for job in self.jobs for cell in job.cells]


class Executor(ABC):
    """A context manager that runs jobs; every row it yields has its record in the store."""

    @abstractmethod
    def running(self) -> list[Running]:
        """What runs at the moment; may be called from another thread or a signal's handler."""

    @abstractmethod
    def run(self, attempts: Iterable[Attempt], stopped: Callable[[], bool]) -> Iterator[Row]:
        """Yield rows as they come; start no further job once ``stopped()`` is true."""

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 (not every executor holds something)
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the workers; jobs that still run are lost, recorded rows are kept."""


class JobRunner:
    """Runs jobs in one process; its runner keeps the last data from job to job."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.store = Store(settings.root)
        self._runner = Runner(pick_device(settings.device), settings.threads)

    def run(self, attempt: Attempt) -> Iterator[Row]:
        """Run a job and record each row before it is yielded.

        A cell that already has a record of this attempt is not run again: a worker made the record before it died, or
        another sweep did.
        """
        recorded = recorded_rows(attempt, self.store)
        yield from recorded.values()
        rest = tuple(cell for cell in attempt.job.cells if cell.key not in recorded)
        if not rest:
            return
        for made, _ in self._runner.run(Job(rest)):
            row = made.model_copy(update={"attempt": attempt.numbers[made.cell]})
            if row.status == "failed":
                self.store.write_log(row, self._runner.traceback)
            self.store.write(row)
            yield row


def recorded_rows(attempt: Attempt, store: Store) -> dict[str, Row]:
    """Rows of this attempt that are in the store, by cell."""
    return {key: row for key, row in store.records(attempt.numbers).items() if row.attempt == attempt.numbers[key]}
