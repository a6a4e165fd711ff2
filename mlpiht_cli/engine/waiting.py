"""How long a sweep that starts no further cell waits for those under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mlpiht_cli.engine.cost import CostModel, duration_text
from mlpiht_cli.engine.executors.base import Running
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.records.rows import Row


class Waiting:
    """Says which cells are under way and when the last of them is expected to end.

    Parameters
    ----------
    costs
        What is known of the cells' times before the sweep.
    running
        Asked for the work that is under way.
    """

    def __init__(self, costs: CostModel, running: Callable[[], Sequence[Running]]) -> None:
        self._costs, self._running = costs, running
        self._rows: list[Row] = []

    def learn(self, row: Row) -> None:
        """Learn from a row that the sweep has made."""
        self._rows.append(row)

    def __call__(self) -> str:
        """Text such as ``1 under way is finished, expected to end in about 58 s``; empty if nothing is under way."""
        found = self._running()
        if not found:
            return ""
        count = sum(len(one.cells) if one.whole else 1 for one in found)
        costs = self._costs.more(self._rows)
        left = [_left(one, costs) for one in found]
        known = [seconds for seconds in left if seconds is not None]
        if len(known) < len(left):
            end = "when is unknown, as too few such cells have finished yet"
        elif max(known) > 0:
            end = f"expected to end in {duration_text(max(known))}"
        else:
            end = f"expected to end {duration_text(-max(known))} ago"
        return f"{count} under way {'is' if count == 1 else 'are'} finished, {end}"


def _left(one: Running, costs: CostModel) -> float | None:
    """Expected seconds until a worker stops; negative for what is late, None if unknown."""
    found = [costs.seconds(cell) for cell in one.cells]
    known = [seconds for seconds in found if seconds is not None]
    if len(known) < len(found):
        return None
    whole = sum(costs.job_seconds(job) or 0.0 for job in one.jobs) if one.whole else min(known)
    return whole - (time.monotonic() - one.since)


def longer_than(cells: Sequence[Cell], costs: CostModel, limit: float | None) -> str:
    """Warning that a cell is expected to take longer than the time of the whole sweep; empty if none is.

    Parameters
    ----------
    limit
        Seconds after which no cell is started; None for no limit.
    """
    known = [(seconds, cell) for cell in cells if (seconds := costs.seconds(cell)) is not None]
    if limit is None or not known:
        return ""
    seconds, cell = max(known, key=lambda pair: pair[0])
    if seconds <= limit:
        return ""
    p = cell.point
    which = f"{p.method} m={p.m} s={p.s} seed={p.seed}"
    return (
        f"--max-time {limit:g} s: one cell ({which}) is expected to take {duration_text(seconds)}, and a cell under "
        "way is finished; give more time, or end long cells with --cell-timeout"
    )
