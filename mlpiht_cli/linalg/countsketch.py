"""Count Sketch: a small table that remembers the large entries of a long vector of accumulated updates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

HASHES = 4
"""Number of hash functions, as in the reference code of P1."""


def sketch_width(size: int, s: int) -> int:
    """Return the width of a table for ``s`` of ``size`` entries, ``s * max(1, ln(size / s))`` (P1's reference code)."""
    return max(1, int(s * max(1.0, math.log(size / s))))


class CountSketch:
    """Hash functions of a Count Sketch (Charikar, Chen & Farach-Colton 2002) over vectors of ``size`` entries.

    A sketch is a table ``[4, width]``. It is linear in the vector: updates may come in any grouping, and the sum of two
    tables is the sketch of the sum. Each of the four rows gives an unbiased estimate of an entry; their median (the
    mean of the middle two) resists collisions with large entries.

    Buckets and signs come from multiply-shift hashing: the upper 32 bits of ``(a x + b) mod 2^64``, which are pairwise
    independent for keys below 2^32 (Dietzfelbinger 1996). They are computed once and kept.

    Parameters
    ----------
    size
        Length N of the vectors, below 2^32.
    width
        Buckets per row.
    words
        Multiplier and offset of each hash function, int64 ``[4, 2]``.
    device
        Device of the tables.
    """

    def __init__(self, size: int, width: int, words: NDArray[np.int64], device: torch.device) -> None:
        if not 0 < size < 2**32 or not 0 < width < 2**31:
            raise ValueError(f"a Count Sketch needs fewer than 2^32 entries and 2^31 buckets, got {size} and {width}")
        keys = torch.arange(size, device=device)
        rows = [(keys * a + b >> 32) & 0xFFFFFFFF for a, b in words.tolist()]  # int64 products wrap around, as intended
        self._buckets = [((row >> 1) * width >> 31).to(torch.int32) for row in rows]
        self._signs = [((row & 1) * 2 - 1).to(torch.int8) for row in rows]
        self.width = width

    def empty(self) -> Tensor:
        """Return the sketch of zero, float64 ``[4, width]``."""
        return torch.zeros(len(self._buckets), self.width, dtype=torch.float64, device=self._buckets[0].device)

    def encode(self, values: Tensor) -> Tensor:
        """Return the sketch of a vector ``[size]``, float64 ``[4, width]``."""
        table = self.empty()
        exact = values.double()
        for row, bucket, sign in zip(table, self._buckets, self._signs, strict=True):
            row.index_add_(0, bucket, exact * sign)
        return table

    def estimate(self, table: Tensor) -> Tensor:
        """Return the estimates of all entries, float64 ``[size]``."""
        a, b, c, d = (
            row.index_select(0, bucket) * sign
            for row, bucket, sign in zip(table, self._buckets, self._signs, strict=True)
        )
        # The middle two of the four values, without sorting.
        lower = torch.maximum(torch.minimum(a, b), torch.minimum(c, d))
        upper = torch.minimum(torch.maximum(a, b), torch.maximum(c, d))
        return (lower + upper) / 2
