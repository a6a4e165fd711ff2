"""Run the cells of a spec that are not done yet, record each at once, and write the table."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlpiht_cli.engine.cost import CostModel, duration_text
from mlpiht_cli.engine.executors.base import Attempt, Executor
from mlpiht_cli.plan.cells import Cell, Job, jobs
from mlpiht_cli.records.rows import DONE, Brief, Row
from mlpiht_cli.records.store import Store
from mlpiht_cli.system.memory import collector_paused

log = logging.getLogger("mlpiht")

OnRow = Callable[[Row], None]
_R = TypeVar("_R", Row, Brief)


@dataclass(frozen=True)
class Ledger:
    """What is known of a list of cells: their rows, and the cells still to run."""

    cells: Sequence[Cell]
    rows: dict[str, Row]
    todo: list[Cell]
    costs: CostModel

    @property
    def parts(self) -> list[Job]:
        """Jobs to run, longest first."""
        return self.costs.longest_first(jobs(self.todo))

    @property
    def shares(self) -> dict[str, float]:
        """Expected seconds of each cell to run; empty where unknown."""
        return self.costs.shares(jobs(self.todo))

    @property
    def counts(self) -> Counter[str]:
        """Number of cells by status; ``todo`` for those still to run."""
        waiting = {cell.key for cell in self.todo}
        return Counter("todo" if cell.key in waiting else self.rows[cell.key].status for cell in self.cells)

    def check_data(self) -> None:
        """Check that the data of the cells to run are on this machine, or download them.

        Raises
        ------
        InputError
            Some are missing; the message says what to do.
        """
        for task in {cell.task for cell in self.todo}:
            task.check_data()

    def after(self, rows: dict[str, Row]) -> Counter[str]:
        """Number of cells by status after a run that gave ``rows``."""
        return Counter(rows[cell.key].status if cell.key in rows else "todo" for cell in self.cells)

    def left(self, rows: Mapping[str, Row]) -> int:
        """Number of cells that a run which gave ``rows`` did not reach."""
        return sum(rows.get(cell.key) is self.rows.get(cell.key) for cell in self.todo)


def survey(cells: Sequence[Cell], store: Store, force: bool = False, device: str = "cpu") -> Ledger:
    """Compare cells with the records and tables; failed cells count as still to run.

    ``force`` runs every cell again, done or not. Costs are for one kind of ``device``, learned from all profiles of the
    spec.
    """
    with collector_paused():
        tabled = store.tabled(tables_of(cells))
        rows = known_rows(cells, store, tabled)
    unique = {cell.key: cell for cell in cells}  # panels may share a cell
    todo = [cell for key, cell in unique.items() if force or key not in rows or rows[key].status not in DONE]
    return Ledger(cells, rows, todo, CostModel([*tabled, *rows.values()], device))


def known_rows(cells: Sequence[Cell], store: Store, tabled: Sequence[Row]) -> dict[str, Row]:
    """Known rows of cells. A row that carries the key of another cell is left out, and its cell runs again."""
    by_key = {cell.key: cell for cell in cells}
    return _own(by_key, store.known(by_key, tabled))


def known_in_brief(cells: Sequence[Cell], store: Store) -> dict[str, Brief]:
    """The same rows, in brief."""
    by_key = {cell.key: cell for cell in cells}
    return _own(by_key, store.brief(by_key, store.tabled(tables_of(cells))))


def _own(by_key: Mapping[str, Cell], rows: dict[str, _R]) -> dict[str, _R]:
    for key, row in list(rows.items()):
        if not by_key[key].fits(row):
            axes = row.m, row.s, row.seed
            log.warning("a row of m=%d s=%d seed=%d says it is cell %s, which is another; left out", *axes, key)
            del rows[key]
    return rows


def tables_of(cells: Sequence[Cell]) -> set[str]:
    """Specs whose tables may hold rows of the cells."""
    return {name for cell in cells for name in (cell.spec, cell.base) if name}


def summary(total: int, counts: Counter[str]) -> str:
    """One line such as ``300 cells: 40 done, 2 failed, 258 to run``."""
    words = [("ok", "done"), *((status, status) for status in ("skipped", "diverged", "failed", "timeout"))]
    parts = [f"{counts[status]} {word}" for status, word in [*words, ("todo", "to run")] if counts[status]]
    return f"{total} cells: {', '.join(parts)}"


@dataclass(frozen=True)
class Policy:
    """When a sweep stops, and how often it tries a failed cell again; ``stopped`` is asked before each job."""

    stopped: Callable[[], bool] = lambda: False
    fail_fast: bool = False
    retries: int = 0


def outlook(ledger: Ledger, workers: int = 1) -> str:
    """Expected time of the rest, to follow a :func:`summary`; empty if no cell is left."""
    return f", {duration_text(ledger.costs.total(ledger.parts, workers), workers)}" if ledger.todo else ""


class Sweep:
    """One run over the cells of a spec and profile.

    Parameters
    ----------
    every
        All cells of the spec and profile: the rows of its table.
    ledger
        The cells selected for this run, and what is known of them.
    """

    def __init__(self, every: Sequence[Cell], ledger: Ledger, store: Store, table: Path) -> None:
        self._every, self._ledger, self._store, self._table = every, ledger, store, table

    def run(self, executor: Executor, on_row: OnRow, policy: Policy) -> dict[str, Row]:
        """Run the cells that are left, and return the rows of the selected cells.

        The table is written at the end, also when the run is interrupted; each cell is recorded as soon as it ends. A
        job that runs for some of its budgets spends no time on the others.
        """
        rows = dict(self._ledger.rows)
        todo = self._ledger.todo
        try:
            for tries_left in range(policy.retries, -1, -1):
                again = set()
                for row in executor.run(self._attempts(todo, rows), policy.stopped):
                    rows[row.cell] = row
                    if tries_left and row.status in ("failed", "timeout"):
                        again.add(row.cell)
                        log.warning("%s m=%d s=%d: %s; to be tried again", row.method, row.m, row.s, row.reason)
                        continue
                    on_row(row)
                    if policy.fail_fast and row.status not in ("ok", "skipped"):
                        return rows
                todo = [cell for cell in todo if cell.key in again]
        finally:
            self.write_table()
        return rows

    def write_table(self) -> None:
        """Write the table from all known rows of the spec's cells, those of other sweeps included."""
        written: dict[str, Row] | None = None
        while True:
            known = known_rows(self._every, self._store, self._store.tabled(tables_of(self._every)))
            if known == written:  # no other sweep added a row between reading and writing
                return
            rows = [_placed(known[cell.key], cell) for cell in self._every if cell.key in known]
            self._store.write_table(self._table, rows, {cell.key for cell in self._every})
            written = known

    def _attempts(self, cells: list[Cell], rows: Mapping[str, Row]) -> list[Attempt]:
        """Jobs of the cells, longest first, each with the number of its attempt."""
        return [
            Attempt(job, {cell.key: rows[cell.key].attempt + 1 if cell.key in rows else 1 for cell in job.cells})
            for job in self._ledger.costs.longest_first(jobs(cells))
        ]


def _placed(row: Row, cell: Cell) -> Row:
    """The row with this spec's names: its record may come from another figure, profile or panel.

    Settings that do not change a cell (``clip_budget``) are this spec's, too. The row of a skipped or failed cell has n
    and d only if the panel varies them.
    """
    place = {
        "spec": cell.spec,
        "figure": cell.figure,
        "panel": cell.point.panel,
        "profile": cell.profile,
        "params": {**row.params, **cell.params},
        **cell.size,
    }
    return row.model_copy(update=place)
