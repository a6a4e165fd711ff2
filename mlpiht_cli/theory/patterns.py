"""Activation patterns of gates: which samples open each neuron (P1, Assumption 2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MOST = 4096
"""Largest number of distinct patterns that are compared pair by pair."""
_TILE = 2**22
"""Largest number of mask entries turned into floating-point numbers at a time, below 2^24."""


@dataclass(frozen=True)
class Patterns:
    """Patterns of ``p`` neurons on ``n`` samples.

    Attributes
    ----------
    masks
        Whether neuron j is open on sample i, bool ``[p, n]``.
    """

    masks: NDArray[np.bool_]

    @cached_property
    def active(self) -> NDArray[np.int64]:
        """Number of samples that open each neuron, ``[p]``."""
        counts: NDArray[np.int64] = self.masks.sum(1, dtype=np.int64)
        return counts

    @cached_property
    def live(self) -> NDArray[np.int64]:
        """Neurons that some sample opens, ascending."""
        return np.flatnonzero(self.active)

    @property
    def dead(self) -> int:
        """Number of neurons that no sample opens."""
        return int((self.active == 0).sum())

    @property
    def always_on(self) -> int:
        """Number of neurons that every sample opens."""
        return int((self.active == self.masks.shape[1]).sum())

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """For each neuron the first one of the same pattern, ``[p]``."""
        seen: dict[bytes, int] = {}
        packed = np.packbits(self.masks, axis=1)
        return np.array([seen.setdefault(row.tobytes(), j) for j, row in enumerate(packed)], dtype=np.int64)

    @property
    def distinct(self) -> NDArray[np.int64]:
        """The first live neuron of each pattern, ascending."""
        return np.flatnonzero((self.first == np.arange(len(self.first))) & (self.active > 0))

    @property
    def duplicate_pairs(self) -> int:
        """Number of pairs of live neurons of one pattern."""
        counts = np.bincount(self.first[self.live], minlength=1)
        return int((counts * (counts - 1) // 2).sum())

    @property
    def antipodal_pairs(self) -> int:
        """Number of pairs of live neurons of which each sample opens exactly one."""
        keys = [row.tobytes() for row in np.packbits(self.masks[self.live], axis=1)]
        flipped = [row.tobytes() for row in np.packbits(~self.masks[self.live], axis=1)]
        count: dict[bytes, int] = {}
        for key in keys:
            count[key] = count.get(key, 0) + 1
        return sum(count.get(key, 0) for key in flipped) // 2

    @property
    def eps(self) -> float:
        """Least share of the samples that opens a live neuron; 0 without live neurons."""
        return float(self.active[self.live].min() / self.masks.shape[1]) if len(self.live) else 0.0

    @cached_property
    def differences(self) -> NDArray[np.int64] | None:
        """Number of samples on which two distinct live patterns differ, ``[q, q]``; None for over ``MOST`` of them."""
        chosen, n = self.distinct, self.masks.shape[1]
        if len(chosen) > MOST:
            return None
        both = np.zeros((len(chosen), len(chosen)))
        step = max(1, _TILE // max(1, len(chosen)))
        for start in range(0, n, step):
            part = self.masks[chosen, start : start + step].astype(np.float32)
            both += part @ part.T  # whole numbers below 2^24 are exact in float32
        active = self.active[chosen]
        return active[:, None] + active - 2 * both.astype(np.int64)

    @property
    def gamma(self) -> float | None:
        """Least share of the samples on which two live neurons differ: 0 with duplicates, 1 for fewer than two."""
        return 0.0 if self.duplicate_pairs else self.gamma_distinct

    @property
    def gamma_distinct(self) -> float | None:
        """Least share of the samples on which two distinct patterns differ; 1 for fewer than two, None if unknown."""
        counts, n = self.differences, self.masks.shape[1]
        if counts is None:
            return None
        off = counts[~np.eye(len(counts), dtype=bool)]
        return float(off.min() / n) if len(off) else 1.0
