"""Columns of the convexified network's matrix, scaled to unit norm, and their inner products (P1, Lemma 1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.theory.patterns import Patterns

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_TILE = 2**24
"""Largest number of entries of columns in memory at a time."""


@dataclass(frozen=True)
class UnitColumns:
    """Columns of ``A = [D_1 X, ..., D_p X]`` over their norms; column ``j d + a`` is ``D_j X_a``. A is never stored.

    Signs of neurons turn columns and change no eigenvalue, so they are left out. Columns of norm 0 have no direction:
    they are left out and counted.

    Attributes
    ----------
    features
        Inputs feature by feature, ``X^T``, ``[d, n]``.
    patterns
        Patterns of the ``p`` neurons on the ``n`` samples.
    """

    features: NDArray[Any]
    patterns: Patterns

    @property
    def d(self) -> int:
        """Number of input features."""
        return len(self.features)

    @cached_property
    def norms(self) -> Array:
        """Norms of all columns, float64 ``[p d]``."""
        masks, n = self.patterns.masks, self.features.shape[1]
        out = np.zeros((len(masks), self.d))
        step = max(1, _TILE // max(self.d, len(masks)))
        for start in range(0, n, step):
            part = self.features[:, start : start + step].astype(np.float64)
            out += masks[:, start : start + step].astype(np.float64) @ (part * part).T
        return np.asarray(np.sqrt(out).ravel())

    @cached_property
    def index(self) -> Index:
        """Columns that are not zero, ascending, ``[N]``."""
        return np.flatnonzero(self.norms)

    @property
    def zero(self) -> int:
        """Number of columns of live neurons that are zero."""
        return len(self.patterns.live) * self.d - len(self.index)

    def gram(self, index: Index) -> Array:
        """Return the inner products of the unit columns ``index`` (none of them zero), float64 ``[K, K]``."""
        rows, cols = np.divmod(index, self.d)
        out, n = np.zeros((len(index), len(index))), self.features.shape[1]
        step = max(1, _TILE // max(1, len(index)))
        scale = 1.0 / self.norms[index]
        for start in range(0, n, step):
            span = slice(start, start + step)
            part = self.features[cols, span].astype(np.float64) * self.patterns.masks[rows, span]
            part *= scale[:, None]
            out += part @ part.T
        np.fill_diagonal(out, 1.0)
        return out

    def of_neurons(self, neurons: Index) -> Index:
        """Return the columns of ``neurons`` that are not zero, ascending."""
        every = (np.sort(neurons)[:, None] * self.d + np.arange(self.d)).ravel()
        return np.asarray(every[self.norms[every] > 0])

    def merged(self, index: Index) -> Index:
        """Return ``index`` with each neuron replaced by the first of its pattern: equal columns become one."""
        rows, cols = np.divmod(index, self.d)
        return np.unique(self.patterns.first[rows] * self.d + cols)
