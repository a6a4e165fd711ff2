"""Search for the supports of extreme eigenvalues: sparse principal components of a Gram matrix.

``alpha_k`` is the least eigenvalue of ``G_SS`` over all supports of k columns, ``beta_k`` the largest. Finding them is
hard in general. A support that is found bounds alpha from above and beta from below: it can refute a guarantee, and it
never proves one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

ENUMERATED = 20_000
"""Largest number of supports that are all tried."""
_STARTS = 6
"""Starts of each kind."""
_SMALL = 24
"""Size up to which all starts are improved, and rows exchanged one by one."""
_IMPROVED = 4
"""Number of starts, the best ones, that are improved of larger supports."""
_LARGE = 200
"""Size above which one pair is grown, and one start improved."""
_ROUNDS = 30
"""Largest number of times that rows of a support are exchanged."""
_BEAMED = 8
"""Size up to which supports are grown side by side."""
_BEAM = 48
"""Supports of one size that are grown."""
_EXCHANGED = 24
"""Rows that are tried in the place of another."""


def lowest(matrix: Array) -> tuple[float, Array]:
    """Return the least eigenvalue of a symmetric matrix ``[k, k]``, and its unit vector ``[k]``."""
    from scipy.linalg import eigh

    values, vectors = eigh(matrix, subset_by_index=[0, 0])
    return float(values[0]), vectors[:, 0]


@dataclass(frozen=True)
class Support:
    """Columns, and an eigenvalue of their Gram matrix.

    Attributes
    ----------
    value
        The eigenvalue.
    index
        Positions in the Gram matrix that was searched, ascending.
    """

    value: float
    index: Index


@dataclass(frozen=True)
class Search:
    """Search in one symmetric matrix ``[N, N]`` for principal submatrices of small least eigenvalue.

    Attributes
    ----------
    matrix
        The Gram matrix, or minus it to look for large eigenvalues.
    neurons, features
        Neuron and feature of each row, int64 ``[N]``. Rows of two near neurons, and rows of one feature, have extreme
        eigenvalues: their vectors are starts.
    """

    matrix: Array
    neurons: Index
    features: Index

    def least(self, k: int) -> Support:
        """Return a support of ``min(k, N)`` rows with a small least eigenvalue: the least if there are few supports."""
        size = len(self.matrix)
        if k >= size:
            return Support(self._whole[0], np.arange(size))
        if k == 2:
            (pair,) = self._pairs(1)
            return Support(lowest(self._part(pair))[0], np.sort(pair))
        return self.enumerated(k) if math.comb(size, k) <= ENUMERATED else self.searched(k)

    def enumerated(self, k: int) -> Support:
        """Return the support of ``k`` rows with the least eigenvalue: all are tried."""
        every = np.array(list(combinations(range(len(self.matrix)), k)))
        values = self._least_values(every)
        best = int(np.argmin(values))
        return Support(float(values[best]), every[best])

    def searched(self, k: int) -> Support:
        """Return a support of ``k < N`` rows with a small least eigenvalue.

        Starts are eigenvectors of the matrix and of groups of rows, cut to their largest entries, and rows that are
        taken one by one; then rows are exchanged while that lowers the eigenvalue.
        """
        starts = {tuple(start) for start in self._starts(k)}
        judged = sorted((lowest(self._part(np.array(start)))[0], start) for start in starts)
        chosen = judged if k <= _SMALL else judged[: _IMPROVED if k <= _LARGE else 1]
        return min((self._improved(np.array(start)) for _, start in chosen), key=lambda one: one.value)

    @cached_property
    def _whole(self) -> tuple[float, Array]:
        return lowest(self.matrix)

    @cached_property
    def _bottom(self) -> Array:
        """Vectors of the least eigenvalues, ``[N, _STARTS]``."""
        from scipy.linalg import eigh

        return np.asarray(eigh(self.matrix, subset_by_index=[0, min(_STARTS, len(self.matrix)) - 1])[1])

    @cached_property
    def _groups(self) -> list[tuple[Index, Array]]:
        """Groups of rows with the vectors of their least eigenvalues: near neurons, and features."""
        groups = self._near_neurons()
        groups += [np.flatnonzero(self.features == name) for name in np.unique(self.features)]
        found = [(*lowest(self._part(one)), one) for one in groups if len(one) > 1]
        found.sort(key=lambda one: one[0])
        return [(one, vector) for _, vector, one in found[: 2 * _STARTS]]

    def _near_neurons(self) -> list[Index]:
        """Rows of the pairs of neurons with the largest entries between them."""
        off = np.abs(self.matrix)
        np.fill_diagonal(off, 0.0)
        names, edges = np.unique(self.neurons, return_index=True)  # rows are in the order of their neurons
        most = np.maximum.reduceat(np.maximum.reduceat(off, edges, 0), edges, 1)
        i, j = np.triu_indices(len(names), 1)
        best = np.argsort(-most[i, j], kind="stable")[:_STARTS]
        both = (np.isin(self.neurons, names[[a, b]]) for a, b in zip(i[best], j[best], strict=True))
        return [np.flatnonzero(one) for one in both]

    def _part(self, index: Index) -> Array:
        return self.matrix[np.ix_(index, index)]

    def _starts(self, k: int) -> list[Index]:
        """Supports of ``k`` rows to begin with."""
        vectors = [*self._bottom.T]
        for rows, vector in self._groups:
            vectors.append(np.zeros(len(self.matrix)))
            vectors[-1][rows] = vector
        starts = [_largest(np.abs(vector), k) for vector in vectors]
        if k == 1:
            return [*starts, np.array([int(np.argmin(np.diag(self.matrix)))])]
        if k <= _BEAMED:
            return [*starts, *self._beam(k)]
        return starts + [self._grown(pair, k) for pair in self._pairs(_STARTS if k <= _LARGE else 1)]

    def _beam(self, k: int) -> Index:
        """Grow the best pairs row by row to ``k`` rows, and keep the best supports of each size, ``[<= _BEAM, k]``."""
        found = np.sort(np.array(self._pairs(_BEAM)), axis=1)
        while found.shape[1] < k:
            wider = [
                np.sort(np.append(one, row))
                for one in found
                for row in np.argsort(self._promise(one, *lowest(self._part(one))), kind="stable")[:_EXCHANGED]
                if row not in one
            ]
            every = np.unique(np.array(wider), axis=0)
            found = every[np.argsort(self._least_values(every), kind="stable")[:_BEAM]]
        return found

    def _least_values(self, supports: Index) -> Array:
        """Least eigenvalues of supports of one size, ``[count, k] -> [count]``."""
        return np.asarray(np.linalg.eigvalsh(self.matrix[supports[:, :, None], supports[:, None, :]])[:, 0])

    def _pairs(self, count: int) -> list[Index]:
        """Pairs of rows of the least eigenvalues, at most ``count``."""
        diagonal = np.diag(self.matrix)
        i, j = np.triu_indices(len(self.matrix), 1)
        mean, half = (diagonal[i] + diagonal[j]) / 2.0, (diagonal[i] - diagonal[j]) / 2.0
        values = mean - np.hypot(half, self.matrix[i, j])
        best = np.argpartition(values, min(count, len(values)) - 1)[:count]
        return [np.array([i[one], j[one]]) for one in best]

    def _grown(self, start: Index, k: int) -> Index:
        """Add rows to a support until it has ``k``, those first that promise the least eigenvalue.

        Steps grow with the support, so that there are a few dozen of them.
        """
        index = start
        while len(index) < k:
            value, vector = lowest(self._part(index))
            more = min(k - len(index), max(1, len(index) // 8))
            index = np.sort(np.concatenate([index, _largest(-self._promise(index, value, vector), more)]))
        return index

    def _promise(self, index: Index, value: float, vector: Array) -> Array:
        """Least eigenvalue of the support's vector and one more row, ``[N]``; infinite for rows of the support."""
        slope = self.matrix[:, index] @ vector
        diagonal = np.diag(self.matrix)
        promised = (value + diagonal) / 2.0 - np.hypot((value - diagonal) / 2.0, slope)
        promised[index] = np.inf
        return np.asarray(promised)

    def _improved(self, index: Index) -> Support:
        """Exchange rows while that lowers the eigenvalue: add those that promise most, then drop the least entries."""
        k = len(index)
        value, vector = lowest(self._part(index))
        room = len(self.matrix) - k
        more = min(room, max(1, k // 4))
        for _ in range(_ROUNDS):
            if not more:
                break
            wider = np.sort(np.concatenate([index, _largest(-self._promise(index, value, vector), more)]))
            entries = np.abs(lowest(self._part(wider))[1])
            tried = wider[_largest(entries, k)]
            found, direction = lowest(self._part(tried))
            if found < value - 1e-12:
                index, value, vector = tried, found, direction
            else:
                more //= 2
        return self._exchanged(index, value) if k <= _SMALL else Support(value, index)

    def _exchanged(self, index: Index, value: float) -> Support:
        """Try single exchanges of a small support in turn, the most promising rows for each."""
        better = True
        while better:
            better = False
            for place in range(len(index)):
                rest = np.delete(index, place)
                level, vector = lowest(self._part(rest)) if len(rest) else (np.inf, np.empty(0))
                ranks = self._promise(rest, level, vector) if len(rest) else np.diag(self.matrix)
                rows = np.argsort(ranks, kind="stable")[:_EXCHANGED]
                rows = rows[~np.isin(rows, rest)]
                tried = np.sort(np.column_stack([np.tile(rest, (len(rows), 1)), rows]), axis=1)
                found = self._least_values(tried)
                lower = np.flatnonzero(found < value - 1e-12)
                if len(lower):
                    index, value, better = tried[lower[0]], float(found[lower[0]]), True
        return Support(value, index)


def _largest(values: Array, k: int) -> Index:
    """Positions of the ``k`` largest values, ascending."""
    return np.sort(np.argpartition(-values, k - 1)[:k]) if k < len(values) else np.arange(len(values))
