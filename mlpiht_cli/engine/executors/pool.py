"""Jobs in worker processes, on this machine or a cluster, through Dask: a worker that dies costs only its own job."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlpiht_cli.engine.executors.base import Attempt, Executor, Running, WorkerSettings, recorded_rows
from mlpiht_cli.engine.executors.process import CRASHED, HUNG, run_batch
from mlpiht_cli.engine.executors.workers import Worker, Workers
from mlpiht_cli.engine.provenance import environment
from mlpiht_cli.engine.runner import pick_device, row_of
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store

if TYPE_CHECKING:
    from distributed import Future

MAX_FALSE_STARTS = 3
"""How often a job is sent again after its worker died before the job started."""
SECONDS_BETWEEN_REPAIRS = 2.0
SECONDS_PER_BATCH = 0.25
"""Short jobs are sent in batches of this much work: sending to a worker and back costs 20 ms."""


@dataclass(frozen=True)
class JobBatch:
    """Jobs that one worker runs, in their order."""

    attempts: list[Attempt]
    worker: Worker
    since: float = field(default_factory=time.monotonic)


class Pool(Executor):
    """Sends jobs to workers; a worker runs one at a time, so that its death fails only the job that was running.

    Workers record rows themselves. The pool records what they could not: rows that did not reach the store (the
    results folder is not shared), and a failed row with its reason for each cell of a job whose worker died.
    """

    def __init__(self, settings: WorkerSettings, workers: Workers) -> None:
        self._settings, self._workers, self._store = settings, workers, Store(settings.root)
        self._running: dict[Future[Any], JobBatch] = {}
        self._seconds_per_job = SECONDS_PER_BATCH  # measured on the last batch; the first jobs go out one by one
        self._false_starts: Counter[str] = Counter()

    def running(self) -> list[Running]:
        """See :meth:`Executor.running`."""
        return [Running(tuple(a.job for a in batch.attempts), batch.since) for batch in list(self._running.values())]

    def run(self, attempts: Iterable[Attempt], stopped: Callable[[], bool]) -> Iterator[Row]:
        """See :meth:`Executor.run`; running jobs are finished."""
        waiting = deque(attempts)
        done: SimpleQueue[Future[Any]] = SimpleQueue()
        while True:
            self._submit(waiting, done, stopped)
            if not self._running and (stopped() or not waiting):
                return
            try:
                future = done.get(timeout=SECONDS_BETWEEN_REPAIRS)
            except Empty:
                self._workers.repair()
                continue
            rows, rest = self._outcome(future, self._running.pop(future))
            waiting.extendleft(reversed(rest))
            yield from rows

    def _submit(self, waiting: deque[Attempt], done: SimpleQueue[Future[Any]], stopped: Callable[[], bool]) -> None:
        """Send a batch of jobs to each free worker."""
        busy = {batch.worker.name for batch in self._running.values()}
        workers = self._workers.all() if waiting and not stopped() else ()
        for worker in workers:
            if worker.name in busy or not waiting:
                continue
            batch = JobBatch(self._next_batch(waiting, max(1, len(waiting) // (2 * len(workers)))), worker)
            for attempt in batch.attempts:
                attempt.log(self._store).unlink(missing_ok=True)  # one that a killed sweep left would report a death
            future = self._workers.submit(
                worker, run_batch, batch.attempts, replace(self._settings, device=worker.device)
            )
            self._running[future] = batch
            future.add_done_callback(done.put)

    def _next_batch(self, waiting: deque[Attempt], most: int) -> list[Attempt]:
        """Take the next jobs, as many as fit :data:`SECONDS_PER_BATCH`; a job with a false start goes alone."""
        size = min(most, max(1, int(SECONDS_PER_BATCH / self._seconds_per_job)))
        batch = [waiting.popleft()]
        while waiting and len(batch) < size and not any(self._false_starts[a.name] for a in (batch[0], waiting[0])):
            batch.append(waiting.popleft())
        return batch

    def _outcome(self, future: Future[Any], batch: JobBatch) -> tuple[list[Row], list[Attempt]]:
        """Rows of a batch that ended, well or not, and its jobs that never started."""
        if future.status in ("cancelled", "lost"):
            raise ConnectionError("the connection to the scheduler is lost")
        returned, message, died = [], "", False
        if future.status == "finished":
            returned, message = future.result()
        else:
            error = future.exception()
            message, died = f"{type(error).__name__}: {error}", self._workers.died(error)
        rows = {row.cell: self._recorded(row) for row in returned}
        rest = [attempt for attempt in batch.attempts if any(cell.key not in rows for cell in attempt.job.cells)]
        if died:
            failed, rest = self._after_death(rest, batch.worker)
        elif message and rest:  # the first one failed; the others have not started
            failed, rest = self._failed_rows(rest[0], batch.worker, "failed", message), rest[1:]
        else:
            self._seconds_per_job = max((time.monotonic() - batch.since) / len(batch.attempts), 1e-4)
            return list(rows.values()), []
        return list((rows | {row.cell: row for row in failed}).values()), rest

    def _after_death(self, attempts: list[Attempt], worker: Worker) -> tuple[list[Row], list[Attempt]]:
        """Rows of jobs whose worker died, and the jobs that never started."""
        found = [self._rows_of_dead(attempt, worker) for attempt in attempts]
        rows = [row for each in found for row in each or ()]
        rest = [attempt for attempt, each in zip(attempts, found, strict=True) if each is None]
        if len(rest) < len(attempts):
            return rows, rest
        self._false_starts.update(attempt.name for attempt in attempts)  # one may be to blame, with its log elsewhere
        given_up = [attempt for attempt in attempts if self._false_starts[attempt.name] > MAX_FALSE_STARTS]
        for attempt in given_up:
            reason = "its worker died before beginning it, several times"
            rows += self._failed_rows(attempt, worker, "failed", reason)
        return rows, [attempt for attempt in attempts if attempt not in given_up]

    def _rows_of_dead(self, attempt: Attempt, worker: Worker) -> list[Row] | None:
        """Rows of a job whose worker died; None if the job never started."""
        recorded = recorded_rows(attempt, self._store)
        if len(recorded) == len(attempt.job.cells):
            return list(recorded.values())
        try:
            log = attempt.log(self._store).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        if log.startswith(HUNG):
            reason = f"no result after {self._settings.cell_timeout:g} s (--cell-timeout)"
            return self._failed_rows(attempt, worker, "timeout", reason)
        crash = log.partition("\n")[0].removeprefix(CRASHED) if log.startswith(CRASHED) else ""
        reason = f"the worker process died: {crash or 'killed, perhaps by the system for lack of memory'}"
        return self._failed_rows(attempt, worker, "failed", reason)

    def _failed_rows(self, attempt: Attempt, worker: Worker, status: str, reason: str) -> list[Row]:
        """Rows of a job that did not end: those its worker recorded, and one with the reason for each other cell."""
        rows = recorded_rows(attempt, self._store)
        made = environment(pick_device(worker.device)) if self._workers.here else {}
        columns = {**made, "threads": self._settings.threads, "status": status, "reason": reason}
        for cell in attempt.job.cells:
            if cell.key not in rows:
                rows[cell.key] = row_of(cell, {**columns, "attempt": attempt.numbers[cell.key]})
                self._store.write(rows[cell.key])
                log = self._store.log(cell.key, attempt.numbers[cell.key])
                if not log.exists() or not log.stat().st_size:
                    self._store.write_log(rows[cell.key], f"{reason}\n")
        return list(rows.values())

    def _recorded(self, row: Row) -> Row:
        """Record a worker's row unless the store has it: a worker may write to another results folder."""
        known = self._store.records([row.cell]).get(row.cell)
        if known is None or known.attempt < row.attempt:
            self._store.write(row)
        return row

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers that the pool has started."""
        self._workers.close()
        for batch in self._running.values() if self._workers.here else ():
            for log in (attempt.log(self._store) for attempt in batch.attempts):
                if log.exists() and not log.stat().st_size:
                    log.unlink()
