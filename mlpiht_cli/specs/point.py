"""A grid point: what names a cell, apart from the settings of its task and method."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SEED = 2**32 - 17
"""Largest seed: NumPy's legacy generator takes 32 bits, and the planted streams add small offsets to the seed."""


@dataclass(frozen=True)
class Point:
    """One grid point of a spec; ``n`` and ``d`` are None where the panel does not vary them."""

    panel: str
    task: str
    method: str
    depth: int
    m: int
    s: int
    seed: int
    label: str = ""
    n: int | None = None
    d: int | None = None
