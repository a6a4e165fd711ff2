"""All subsets of a few positions, for methods that try every subset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import CellSkipped

MAX_SUBSETS = 200_000
"""Largest number of subsets that are tried; it allows subsets of any size of 20 positions."""
_CHUNK = 2048


def subsets(size: int, count: int) -> Iterator[NDArray[np.int64]]:
    """Yield the subsets of ``count`` out of ``size`` positions in lexicographic order, in chunks ``[<= 2048, count]``.

    Raises
    ------
    CellSkipped
        There are more than :data:`MAX_SUBSETS` subsets.
    """
    number = math.comb(size, count)
    if number > MAX_SUBSETS:
        raise CellSkipped(f"{number} subsets of {count} out of {size} weights are too many to try")
    every = combinations(range(size), count)
    while chunk := list(islice(every, _CHUNK)):
        yield np.array(chunk, dtype=np.int64)
