"""What an executor is given, what it promises, and the work itself, which is the same wherever it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mlpiht_cli.engine.runner import Runner, pick_device
from mlpiht_cli.plan.cells import Job
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store


@dataclass(frozen=True)
class Work:
    """A job, and which attempt it is for each of its cells, by key."""

    job: Job
    attempts: Mapping[str, int]

    @property
    def name(self) -> str:
        """Key of the first cell: what the job goes by."""
        return self.job.first.key

    def log(self, store: Store) -> Path:
        """Where the job's log is kept."""
        return store.log(self.name, self.attempts[self.name])


@dataclass(frozen=True)
class Site:
    """Where and how work is done.

    Attributes
    ----------
    root
        The results folder.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.
    threads
        torch's threads; None: as torch has it.
    cell_timeout
        Seconds after which a cell is given up.
    variables
        Environment variables of the sweep that workers elsewhere are to have too.
    """

    root: Path
    device: str
    threads: int | None = None
    cell_timeout: float | None = None
    variables: tuple[tuple[str, str], ...] = ()


class Executor(ABC):
    """A context in which works are done; every row it yields has its record in the store."""

    @abstractmethod
    def run(self, works: Iterable[Work], stopped: Callable[[], bool]) -> Iterator[Row]:
        """Yield the rows of the works as they come; begin nothing new once ``stopped()`` says so."""

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 (not every executor holds something)
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what was held; work under way is lost, what is recorded is not."""


class Bench:
    """One process's place of work: it keeps the runner, and with it the last data, between jobs."""

    def __init__(self, site: Site) -> None:
        self.store = Store(site.root)
        self._runner = Runner(pick_device(site.device), site.threads)

    def perform(self, work: Work) -> Iterator[Row]:
        """Do the work, recording each row before it is yielded.

        Cells that have a record of this attempt, made before a worker died or by another sweep, are not run again.
        """
        recorded = recorded_of(work, self.store)
        yield from recorded.values()
        rest = tuple(cell for cell in work.job.cells if cell.key not in recorded)
        if not rest:
            return
        for made, _ in self._runner.run(Job(rest)):
            row = made.model_copy(update={"attempt": work.attempts[made.cell]})
            if row.status == "failed":
                self.store.write_log(row, self._runner.traceback)
            self.store.write(row)
            yield row


def recorded_of(work: Work, store: Store) -> dict[str, Row]:
    """Rows of the work's own attempt that are in the store, by cell."""
    return {key: row for key, row in store.records(work.attempts).items() if row.attempt == work.attempts[key]}
