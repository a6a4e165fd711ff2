"""Jobs in worker processes, here or on a cluster, over Dask: a worker that dies costs its job alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlpiht_cli.executors.seats import Seat, Seats
from mlpiht_cli.executors.work import Executor, Site, Work, fresh_log, recorded_of
from mlpiht_cli.executors.worker import CRASHED, HUNG, attend
from mlpiht_cli.provenance import environment
from mlpiht_cli.rows import Row
from mlpiht_cli.runner import pick_device, row_of
from mlpiht_cli.store import Store

if TYPE_CHECKING:
    from distributed import Future

NEVER_BEGAN = 3
"""How often a job is handed out again because its worker died before beginning it."""
SECONDS_BETWEEN_ROUNDS = 2.0


class Pool(Executor):
    """Hands jobs to workers, never more than one to each, so that a worker's death blames nobody else's job.

    Workers record rows themselves. The pool adds what they could not: rows that did not reach the store (a folder
    that is not shared), and a failed row with its reason for each cell that a dead worker left behind.
    """

    def __init__(self, site: Site, seats: Seats) -> None:
        self._site, self._seats, self._store = site, seats, Store(site.root)
        self._flying: dict[Future[Any], tuple[Work, Seat]] = {}

    def run(self, works: Iterable[Work], stopped: Callable[[], bool]) -> Iterator[Row]:
        """See :meth:`Executor.run`; jobs under way are finished."""
        waiting = deque(works)
        unbegun: dict[str, int] = {}
        flying = self._flying
        landed: SimpleQueue[Future[Any]] = SimpleQueue()
        while True:
            self._launch(waiting, landed, stopped)
            if not flying and (stopped() or not waiting):
                return
            try:
                future = landed.get(timeout=SECONDS_BETWEEN_ROUNDS)
            except Empty:
                self._seats.mend()
                continue
            work, seat = flying.pop(future)
            rows = self._rows(future, work, seat)
            if rows is None:
                key = work.job.first.key
                unbegun[key] = unbegun.get(key, 0) + 1
                if unbegun[key] <= NEVER_BEGAN:
                    waiting.appendleft(work)
                    continue
                rows = self._lost(work, seat, "failed", "its worker died before beginning it, several times")
            yield from rows

    def _launch(self, waiting: deque[Work], landed: SimpleQueue[Future[Any]], stopped: Callable[[], bool]) -> None:
        """Give each free seat a job."""
        taken = {seat.name for _, seat in self._flying.values()}
        for seat in self._seats.all() if waiting and not stopped() else ():
            if seat.name in taken or not waiting:
                continue
            work = waiting.popleft()
            fresh_log(work, self._store)
            future = self._seats.submit(seat, attend, work, replace(self._site, device=seat.device))
            self._flying[future] = work, seat
            future.add_done_callback(landed.put)

    def _rows(self, future: Future[Any], work: Work, seat: Seat) -> list[Row] | None:
        """Rows of a job that ended, one way or another; None if it never began."""
        if future.status in ("cancelled", "lost"):
            raise ConnectionError("the connection to the scheduler is lost")
        if future.status == "finished":
            rows: list[Row] = future.result()
            return [self._recorded(row) for row in rows]
        error = future.exception()
        if not self._seats.died(error):
            return self._lost(work, seat, "failed", f"{type(error).__name__}: {error}")
        try:
            told = self._log(work).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        if told.startswith(HUNG):
            return self._lost(work, seat, "timeout", f"no result after {self._site.cell_timeout:g} s (--cell-timeout)")
        crash = told.partition("\n")[0].removeprefix(CRASHED) if told.startswith(CRASHED) else ""
        why = crash or "killed, perhaps by the system for lack of memory"
        return self._lost(work, seat, "failed", f"the worker process died: {why}")

    def _log(self, work: Work) -> Path:
        key = work.job.first.key
        return self._store.log(key, work.attempts[key])

    def _lost(self, work: Work, seat: Seat, status: str, reason: str) -> list[Row]:
        """Rows of a job whose worker did not return: those it recorded, and one with the reason for each other."""
        rows = recorded_of(work, self._store)
        made = environment(pick_device(seat.device)) if self._seats.here else {}
        columns = {**made, "threads": self._site.threads, "status": status, "reason": reason}
        for cell in work.job.cells:
            if cell.key not in rows:
                rows[cell.key] = row_of(cell, {**columns, "attempt": work.attempts[cell.key]})
                self._store.write(rows[cell.key])
                log = self._store.log(cell.key, work.attempts[cell.key])
                if not log.exists() or not log.stat().st_size:
                    self._store.write_log(rows[cell.key], f"{reason}\n")
        return list(rows.values())

    def _recorded(self, row: Row) -> Row:
        """Make sure that a worker's row is in the store: it is not if the worker has another results folder."""
        known = self._store.records([row.cell]).get(row.cell)
        if known is None or known.attempt < row.attempt:
            self._store.write(row)
        return row

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers that are ours."""
        self._seats.close()
        for work, _ in self._flying.values() if self._seats.here else ():
            log = self._log(work)
            if log.exists() and not log.stat().st_size:
                log.unlink()
