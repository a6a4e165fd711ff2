"""Parts of a dictionary of unit columns that are examined, and which columns of a large one they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.theory.columns import UnitColumns

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_MOST = 3000
"""Largest number of columns whose Gram matrix is made."""
_WORK = 4e11
"""Largest number of products of the Gram matrix of a whole dictionary."""
_PART = 1e11
"""Largest number of products of the Gram matrix of a part."""
_TILE = 2**24
"""Largest number of entries in memory at a time."""


def is_examined_in_full(columns: UnitColumns) -> bool:
    """Whether all columns are examined together."""
    return len(columns.index) <= _room(columns, _WORK)


def most_columns(columns: UnitColumns) -> int:
    """Return the number of columns of a part of a dictionary."""
    return _room(columns, _PART)


def _room(columns: UnitColumns, work: float) -> int:
    """Return the number of columns whose Gram matrix takes at most some work; time and memory are bounded."""
    return min(_MOST, max(64, int((work / columns.features.shape[1]) ** 0.5)))


@dataclass(frozen=True)
class Examined:
    """Columns and their Gram matrix.

    Attributes
    ----------
    index
        Columns ``neuron * d + feature``, ascending, ``[K]``.
    gram
        Inner products of the unit columns, ``[K, K]``.
    """

    index: Index
    gram: Array

    @classmethod
    def of(cls, columns: UnitColumns, index: Index) -> Examined:
        """Examine some columns."""
        return cls(index, columns.gram(index))

    def part(self, places: Index) -> Array:
        """Return the Gram matrix of some of the columns, by their places."""
        return self.gram[np.ix_(places, places)]

    @cached_property
    def _sums(self) -> Array:
        """Largest sums over rows of the 1, 2, ... largest inner products with other columns, ``[K - 1]``."""
        off = np.abs(self.gram)
        np.fill_diagonal(off, 0.0)
        off.sort(axis=1)
        return np.asarray(np.cumsum(off[:, :0:-1], axis=1).max(0))

    def babel(self, count: int) -> float:
        """Return the babel function: the largest sum of ``count`` inner products of a column with others, in size."""
        return float(self._sums[min(count, len(self._sums)) - 1]) if len(self._sums) and count > 0 else 0.0


def near_columns(columns: UnitColumns) -> Index:
    """Return columns of neurons whose patterns are nearest, ascending: all features, or those that differ least.

    Of two neurons of one pattern both are chosen: they have dependent columns.
    """
    room, first = most_columns(columns), _nearest_pair(columns)
    neurons = _by_nearness(columns, first)[: max(2, room // columns.d)]
    every = columns.of_neurons(np.array(neurons))
    if len(every) <= room:
        return every
    masks = columns.patterns.masks
    differs = masks[first[0]] != masks[first[1]]
    change = np.square(columns.features[:, differs].astype(np.float64)).sum(1)
    size = np.minimum(*(np.square(columns.norms.reshape(-1, columns.d)[j]) for j in first))
    order = np.argsort(np.where(size > 0, change / np.where(size > 0, size, 1.0), np.inf), kind="stable")
    kept = np.sort(order[: room // len(neurons)])
    return every[np.isin(every % columns.d, kept)]


def _nearest_pair(columns: UnitColumns) -> tuple[int, int]:
    """Two neurons of one pattern, or of the nearest patterns in relation to their samples."""
    patterns = columns.patterns
    copies = patterns.live[patterns.first[patterns.live] != patterns.live]
    if len(copies):
        return int(patterns.first[copies[0]]), int(copies[0])
    order = _pairs(columns)
    live = patterns.live
    return order[0] if order else (int(live[0]), int(live[-1]))


def _pairs(columns: UnitColumns) -> list[tuple[int, int]]:
    """Pairs of distinct patterns, the nearest first, at most as many as neurons are examined."""
    patterns = columns.patterns
    if patterns.differences is None or len(patterns.distinct) < 2:
        return []
    active = patterns.active[patterns.distinct]
    i, j = np.triu_indices(len(active), 1)
    share = patterns.differences[i, j] / np.minimum(active[i], active[j])
    best = np.argsort(share, kind="stable")[: most_columns(columns)]
    return [(int(patterns.distinct[a]), int(patterns.distinct[b])) for a, b in zip(i[best], j[best], strict=True)]


def _by_nearness(columns: UnitColumns, first: tuple[int, int]) -> list[int]:
    """Live neurons: a pair, then those of the nearest pairs, then the others."""
    order = dict.fromkeys(first)
    for pair in _pairs(columns):
        order.update(dict.fromkeys(pair))
    order.update(dict.fromkeys(columns.patterns.live.tolist()))
    return list(order)


def shared_columns(columns: UnitColumns) -> Index:
    """Return columns of the features whose columns are most alike over the neurons, ascending."""
    patterns, room = columns.patterns, most_columns(columns)
    neurons = patterns.live[:room]
    norms = columns.norms.reshape(-1, columns.d)[neurons]
    inverse = np.where(norms > 0, 1.0 / np.where(norms > 0, norms, 1.0), 0.0)
    length, n = np.zeros(columns.d), columns.features.shape[1]
    step = max(1, _TILE // max(len(neurons), columns.d))
    for start in range(0, n, step):
        span = slice(start, start + step)
        weight = patterns.masks[neurons, span].T.astype(np.float64) @ inverse
        length += np.square(weight * columns.features[:, span].T).sum(0)
    features = np.argsort(-length, kind="stable")[: max(1, room // len(neurons))]
    every = columns.of_neurons(neurons)
    return every[np.isin(every % columns.d, features)]
