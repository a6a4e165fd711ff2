"""Clocks: wall time and processor time of what is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")


class Seconds(NamedTuple):
    """Seconds of the wall clock, and of the processor: all threads together, and child processes that have ended.

    Other programs on the machine lengthen the first, and hardly the second.
    """

    wall: float
    cpu: float

    def times(self, factor: float) -> Seconds:
        """Return both, multiplied."""
        return Seconds(self.wall * factor, self.cpu * factor)

    def over(self, other: Seconds) -> Seconds:
        """Return both ratios."""
        return Seconds(self.wall / other.wall, self.cpu / other.cpu)


def now() -> Seconds:
    """Read both clocks."""
    ended = os.times()
    return Seconds(time.perf_counter(), time.process_time() + ended.children_user + ended.children_system)


def since(start: Seconds) -> Seconds:
    """Return the seconds since ``start``."""
    end = now()
    return Seconds(end.wall - start.wall, end.cpu - start.cpu)


def timed(
    action: Callable[[], T], repeats: int, warm_up: Callable[[], object] | None = None
) -> tuple[list[Seconds], T]:
    """Return the seconds of ``repeats`` runs, at least one, and the result of the last.

    One more run comes first, which fills caches and compiles kernels and is not timed; ``warm_up`` replaces it.
    """
    (warm_up or action)()
    taken = []
    for _ in range(max(1, repeats)):
        start = now()
        result = action()
        taken.append(since(start))
    return taken, result


def median(taken: Sequence[Seconds]) -> Seconds:
    """Return the medians of both, each on its own."""
    wall, cpu = np.median(np.array(taken, float).reshape(-1, 2), axis=0)
    return Seconds(float(wall), float(cpu))


def spread(who: str, taken: Sequence[Seconds]) -> dict[str, float]:
    """Return the columns of timed runs: median, least and largest wall time, and median processor time."""
    walls, middle = [each.wall for each in taken], median(taken)
    return {
        f"{who}_s": middle.wall,
        f"{who}_s_min": min(walls),
        f"{who}_s_max": max(walls),
        f"{who}_cpu_s": middle.cpu,
    }
