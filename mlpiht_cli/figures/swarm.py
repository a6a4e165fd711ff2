"""Markers that would hide each other, moved apart sideways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

Point = tuple[float, float]


def sideways(points: Sequence[Point], size: float) -> list[float]:
    """Return how far each point moves to the right (below 0: to the left), so that no two are closer than ``size``.

    From the lowest point up, each takes the least move, a multiple of ``size``, that keeps it off those before it.
    A point that nothing is near to stays. All lengths have one unit, such as pixels.
    """
    moved: dict[int, Point] = {}
    for i in sorted(range(len(points)), key=lambda i: points[i][1]):
        x, y = points[i]
        free = (move for move in _moves(size) if all(not _near((x + move, y), one, size) for one in moved.values()))
        moved[i] = x + next(free), y
    return [moved[i][0] - x for i, (x, _) in enumerate(points)]


def _moves(size: float) -> Iterator[float]:
    """0, one to the right, one to the left, two to the right, and so on."""
    yield 0.0
    for i in count(1):
        yield i * size
        yield -i * size


def _near(one: Point, other: Point, size: float) -> bool:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 < (size * (1 - 1e-9)) ** 2
