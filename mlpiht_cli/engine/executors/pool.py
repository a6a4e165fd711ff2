"""Jobs in worker processes, here or on a cluster, over Dask: a worker that dies costs its job alone."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlpiht_cli.engine.executors.seats import Seat, Seats
from mlpiht_cli.engine.executors.work import Executor, Site, Work, recorded_of
from mlpiht_cli.engine.executors.worker import CRASHED, HUNG, attend
from mlpiht_cli.engine.provenance import environment
from mlpiht_cli.engine.runner import pick_device, row_of
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store

if TYPE_CHECKING:
    from distributed import Future

NEVER_BEGAN = 3
"""How often a job is handed out again because its worker died before beginning it."""
SECONDS_BETWEEN_ROUNDS = 2.0
SECONDS_OF_A_BUNDLE = 0.25
"""Short jobs are handed out several at a time, this much work at once: the way to a worker and back costs 20 ms."""


@dataclass(frozen=True)
class Bundle:
    """Jobs under way in one seat, in their order."""

    works: list[Work]
    seat: Seat
    since: float = field(default_factory=time.monotonic)


class Pool(Executor):
    """Hands jobs to workers, which do one at a time, so that a worker's death blames nobody else's job.

    Workers record rows themselves. The pool adds what they could not: rows that did not reach the store (a folder
    that is not shared), and a failed row with its reason for each cell that a dead worker left behind.
    """

    def __init__(self, site: Site, seats: Seats) -> None:
        self._site, self._seats, self._store = site, seats, Store(site.root)
        self._flying: dict[Future[Any], Bundle] = {}
        self._pace = SECONDS_OF_A_BUNDLE  # of a job, as the last bundle had it: the first ones go out one by one
        self._false_starts: Counter[str] = Counter()

    def run(self, works: Iterable[Work], stopped: Callable[[], bool]) -> Iterator[Row]:
        """See :meth:`Executor.run`; jobs under way are finished."""
        waiting = deque(works)
        landed: SimpleQueue[Future[Any]] = SimpleQueue()
        while True:
            self._launch(waiting, landed, stopped)
            if not self._flying and (stopped() or not waiting):
                return
            try:
                future = landed.get(timeout=SECONDS_BETWEEN_ROUNDS)
            except Empty:
                self._seats.mend()
                continue
            rows, rest = self._outcome(future, self._flying.pop(future))
            waiting.extendleft(reversed(rest))
            yield from rows

    def _launch(self, waiting: deque[Work], landed: SimpleQueue[Future[Any]], stopped: Callable[[], bool]) -> None:
        """Give each free seat a bundle of jobs."""
        taken = {bundle.seat.name for bundle in self._flying.values()}
        seats = self._seats.all() if waiting and not stopped() else ()
        for seat in seats:
            if seat.name in taken or not waiting:
                continue
            works = self._bundle(waiting, max(1, len(waiting) // (2 * len(seats))))
            for work in works:
                work.log(self._store).unlink(missing_ok=True)  # of a sweep that was killed: it would tell of a death
            future = self._seats.submit(seat, attend, works, replace(self._site, device=seat.device))
            self._flying[future] = Bundle(works, seat)
            future.add_done_callback(landed.put)

    def _bundle(self, waiting: deque[Work], fair: int) -> list[Work]:
        """Take the next jobs: as many as are done in a moment, but a fair share at most; a suspect goes alone."""
        size = min(fair, max(1, int(SECONDS_OF_A_BUNDLE / self._pace)))
        works = [waiting.popleft()]
        while waiting and len(works) < size and not any(self._false_starts[w.name] for w in (works[0], waiting[0])):
            works.append(waiting.popleft())
        return works

    def _outcome(self, future: Future[Any], bundle: Bundle) -> tuple[list[Row], list[Work]]:
        """Rows of a bundle that ended, one way or another, and its jobs that never began."""
        if future.status in ("cancelled", "lost"):
            raise ConnectionError("the connection to the scheduler is lost")
        done, error, died = [], "", False
        if future.status == "finished":
            done, error = future.result()
        else:
            fault = future.exception()
            error, died = f"{type(fault).__name__}: {fault}", self._seats.died(fault)
        rows = {row.cell: self._recorded(row) for row in done}
        rest = [work for work in bundle.works if any(cell.key not in rows for cell in work.job.cells)]
        if died:
            lost, rest = self._after_death(rest, bundle.seat)
        elif error and rest:  # the others come after it
            lost, rest = self._lost(rest[0], bundle.seat, "failed", error), rest[1:]
        else:
            self._pace = max((time.monotonic() - bundle.since) / len(bundle.works), 1e-4)
            return list(rows.values()), []
        return list((rows | {row.cell: row for row in lost}).values()), rest

    def _after_death(self, works: list[Work], seat: Seat) -> tuple[list[Row], list[Work]]:
        """Rows of jobs whose worker died, and those that never began."""
        found = [self._left_behind(work, seat) for work in works]
        rows = [row for each in found for row in each or ()]
        rest = [work for work, each in zip(works, found, strict=True) if each is None]
        if len(rest) < len(works):
            return rows, rest
        self._false_starts.update(work.name for work in works)  # one of them may be to blame, unseen
        given_up = [work for work in works if self._false_starts[work.name] > NEVER_BEGAN]
        for work in given_up:
            rows += self._lost(work, seat, "failed", "its worker died before beginning it, several times")
        return rows, [work for work in works if work not in given_up]

    def _left_behind(self, work: Work, seat: Seat) -> list[Row] | None:
        """Rows of a job whose worker died; None if it never began."""
        recorded = recorded_of(work, self._store)
        if len(recorded) == len(work.job.cells):
            return list(recorded.values())
        try:
            told = work.log(self._store).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        if told.startswith(HUNG):
            return self._lost(work, seat, "timeout", f"no result after {self._site.cell_timeout:g} s (--cell-timeout)")
        crash = told.partition("\n")[0].removeprefix(CRASHED) if told.startswith(CRASHED) else ""
        why = crash or "killed, perhaps by the system for lack of memory"
        return self._lost(work, seat, "failed", f"the worker process died: {why}")

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
        for bundle in self._flying.values() if self._seats.here else ():
            for log in (work.log(self._store) for work in bundle.works):
                if log.exists() and not log.stat().st_size:
                    log.unlink()
