"""Gate rules: they give the direction ``h_j`` that opens neuron ``j`` and so its mask ``1[X h_j > 0]``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import NormalRows, UniformRows

if TYPE_CHECKING:
    from torch import Tensor


TILE = 64
"""Largest number of neurons whose gate vectors, weights or products are in memory at a time."""


class GateRule(Protocol):
    """Source of the gate vectors of the live neurons; all other neurons are dead.

    Attributes
    ----------
    few
        Whether there are at most as many live neurons as weights; masks can then be kept for all of them.
    """

    few: bool

    @property
    def count(self) -> int:
        """Number of live neurons."""

    def tiles(self, size: int) -> Iterator[Tensor]:
        """Yield the live neurons in ascending order (int64), at most ``size`` at a time."""

    def places(self, neurons: Tensor) -> Tensor:
        """Return the position of each of the ``neurons`` among the live ones, int64; ``count`` for dead neurons."""

    def directions(self, ids: Tensor) -> Tensor:
        """Return gate vectors ``h_j`` of the neurons ``ids`` (ascending), ``[len(ids), d]``; zeros for dead neurons."""

    def follows(self, weights: SparseMatrix) -> bool:
        """Whether the gate vectors are these weights."""


def rows_at(stream: NormalRows | UniformRows, ids: Tensor, like: Tensor) -> Tensor:
    """Draw rows ``ids`` (ascending) of a stream, with the dtype and device of ``like``.

    Each run of consecutive rows is drawn in one call.
    """
    if not len(ids):
        return like.new_empty(0, stream.dim)
    known = ids.cpu().numpy()
    runs = np.split(known, np.flatnonzero(np.diff(known) != 1) + 1)
    rows = np.concatenate([stream.rows(int(run[0]), int(run[-1]) + 1) for run in runs])
    return torch.from_numpy(rows).to(like.device, like.dtype)


class RandomGates:
    """Random gates ``h_j ~ N(0, I_d)`` for every neuron, drawn on demand (P1, Algorithm 1, first step)."""

    few = False

    def __init__(self, stream: NormalRows, m: int, like: Tensor) -> None:
        self._stream, self.count, self._like = stream, m, like
        self._drawn = np.empty(0, np.int64), like.new_empty(0, stream.dim)

    def tiles(self, size: int) -> Iterator[Tensor]:
        """Yield all ``m`` neurons, at most ``size`` at a time."""
        for start in range(0, self.count, size):
            yield torch.arange(start, min(start + size, self.count), device=self._like.device)

    def places(self, neurons: Tensor) -> Tensor:
        """Return ``neurons``: every neuron is live."""
        return neurons

    def directions(self, ids: Tensor) -> Tensor:
        """Return the rows ``ids`` of the stream; few rows are kept, for further minibatches with these neurons."""
        asked, (known, rows) = ids.cpu().numpy(), self._drawn
        place = np.searchsorted(known[:-1], asked)
        if len(known) and np.array_equal(known[place], asked):
            return rows[torch.from_numpy(place).to(rows.device)]
        drawn = rows_at(self._stream, ids, self._like)
        if len(asked) <= TILE:
            self._drawn = asked, drawn
        return drawn

    def follows(self, weights: SparseMatrix) -> bool:
        """Return False."""
        return False


class _FewGates(ABC):
    """Base of the rules with few live neurons, which are listed."""

    few = True

    @cached_property
    def _neurons(self) -> Tensor:
        """Live neurons, int64 ascending."""
        return self._listed()

    @abstractmethod
    def _listed(self) -> Tensor:
        """List the live neurons; called when they are needed first."""

    @cached_property
    def count(self) -> int:
        """Number of live neurons."""
        return int(self._neurons.shape[0])

    def tiles(self, size: int) -> Iterator[Tensor]:
        """Yield the live neurons, at most ``size`` at a time."""
        return iter(torch.split(self._neurons, size) if self.count else ())

    def places(self, neurons: Tensor) -> Tensor:
        """Find the positions by bisection."""
        if not self.count:
            return torch.zeros_like(neurons)
        place = torch.searchsorted(self._neurons, neurons).clamp(max=self.count - 1)
        return torch.where(self._neurons[place] == neurons, place, self.count)


class WeightGates(_FewGates):
    """Gates that follow the weights, ``h = w`` (sequential convex): a neuron without weights is dead.

    Parameters
    ----------
    weights
        The weights ``[m, d]``.
    static
        Whether shapes must not depend on values, so that the host does not wait for a GPU. There are then as many live
        neurons as stored weights, at most m; the surplus ones have numbers from m on and zero gates.
    """

    def __init__(self, weights: SparseMatrix, static: bool = False) -> None:
        self._weights, self._static = weights, static

    def _listed(self) -> Tensor:
        return self._weights.row_slots() if self._static else self._weights.live_rows()

    def directions(self, ids: Tensor) -> Tensor:
        """Return the weights of the neurons ``ids``."""
        return self._weights.dense_rows(ids)

    def follows(self, weights: SparseMatrix) -> bool:
        """Whether these are the very weights that the rule was made of."""
        return weights is self._weights


class GivenGates(_FewGates):
    """Gate vectors that are given for some neurons, and never change.

    Parameters
    ----------
    neurons
        Live neurons, int64 ascending.
    vectors
        Their gate vectors ``[len(neurons), d]``.
    """

    def __init__(self, neurons: Tensor, vectors: Tensor) -> None:
        self._given, self._vectors = neurons, vectors

    def _listed(self) -> Tensor:
        return self._given

    def directions(self, ids: Tensor) -> Tensor:
        """Return the gate vectors of the neurons ``ids``; zeros for others."""
        padded = torch.cat([self._vectors, self._vectors.new_zeros(1, self._vectors.shape[1])])
        return padded[self.places(ids)]

    def follows(self, weights: SparseMatrix) -> bool:
        """Return False."""
        return False


class SomeGates(_FewGates):
    """The gates of a few ``neurons`` (int64 ascending) of another rule; all other neurons count as dead."""

    def __init__(self, rule: GateRule, neurons: Tensor) -> None:
        self._rule, self._some = rule, neurons

    def _listed(self) -> Tensor:
        return self._some

    def directions(self, ids: Tensor) -> Tensor:
        """Return the gate vectors of the other rule."""
        return self._rule.directions(ids)

    def follows(self, weights: SparseMatrix) -> bool:
        """Return the answer of the other rule."""
        return self._rule.follows(weights)
