"""Count Sketch: a small table that remembers the large entries of a long vector of accumulated updates.

The table has four rows (Charikar, Chen & Farach-Colton 2002). A row adds an entry, times a random sign, to a random
bucket, so that it gives an unbiased estimate of the entry. The median of the four estimates (the mean of the middle
two) resists collisions with large entries. The compiled loops are in :mod:`.fold`.
"""

from __future__ import annotations

import math

HASHES = 4
"""Number of hash functions, as in the reference code of P1."""


def sketch_width(size: int, s: int) -> int:
    """Return the width of a table for ``s`` of ``size`` entries, ``s * max(1, ln(size / s))`` (P1's reference code)."""
    return max(1, int(s * max(1.0, math.log(size / s))))
