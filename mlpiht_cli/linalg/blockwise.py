"""Selection of the entries that stay, streamed: entries held, a sketch of the updates and one tile are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.vector import Weights

if TYPE_CHECKING:
    from torch import Tensor

Order = Literal["blocks", "global"]


class Hashes(Protocol):
    """Hash functions of a sketch; see :class:`mlpiht_cli.rng.HashFunctions`."""

    def codes(self, keys: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return buckets and signs of keys, int32 ``[*keys.shape, count]``."""


class OwnBuckets:
    """One hash function that gives each key its own bucket: the sketch is then the vector itself."""

    def codes(self, keys: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the keys, int32 ``[*keys.shape, 1]``."""
        return keys[..., None].astype(np.int32)


class NoBuckets:
    """No hash function: entries are then ranked by their values."""

    def codes(self, keys: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return no codes, int32 ``[*keys.shape, 0]``."""
        return np.empty((*keys.shape, 0), dtype=np.int32)


class Update(NamedTuple):
    """Neurons ``ids`` ``[t]``, their weights before a step and the change by the step, ``[t, d + k]`` each."""

    ids: Tensor
    weights: Tensor
    change: Tensor


class Held(NamedTuple):
    """Slots for the entries held and those of one more block: keys, values, codes ``[slots, hashes]``.

    ``rank`` is the magnitude that ranks a slot, ``fresh`` that of a new entry, and ``order`` a copy of both that the
    selection may shuffle.
    """

    keys: NDArray[np.int64]
    values: NDArray[Any]
    codes: NDArray[np.int32]
    rank: NDArray[np.float64]
    fresh: NDArray[np.float64]
    order: NDArray[np.float64]


class Moved(NamedTuple):
    """Neurons after an update, each in two blocks, hidden and output: ``[t, d + k]``, codes ``[t, d + k, hashes]``."""

    keys: NDArray[np.int64]
    values: NDArray[Any]
    update: NDArray[np.float64]
    codes: NDArray[np.int32]


class _Coded(NamedTuple):
    """Neurons ``ids`` ``[t]``, the keys of their weights ``[t, d + k]`` and the codes of these."""

    ids: NDArray[np.int64]
    keys: NDArray[np.int64]
    codes: NDArray[np.int32]


class Rules(NamedTuple):
    """Budget ``s``, number ``d`` of hidden weights of a neuron, and whether a block is added to the sketch first."""

    s: int
    d: int
    adds: bool


class BlockSelection:
    """Keeps ``s`` entries of the weights of a network: those with the largest accumulated updates, or the largest ones.

    ``blocks``: the hidden weights of a neuron, then its output weights, then those of the next neuron take their turn.
    The updates of a block are added to the sketch, its new nonzero values join the entries held, and if these are more
    than ``s``, those of largest rank *at that moment* stay. ``global``: all updates are added first, and all entries
    are ranked together. Of equal ranks the entry with the highest key stays; keys count all hidden weights row by row,
    then all output weights (P1's reference code; protocol, section 1).

    Parameters
    ----------
    s
        Budget, at least 1.
    order
        The order described above.
    hashes
        Hash functions of the sketch.
    table
        The empty sketch ``[count, buckets]``; its dtype is the precision of the sums.
    like
        The weights' shapes, dtype and device.
    """

    def __init__(self, s: int, order: Order, hashes: Hashes, table: NDArray[np.floating], like: Weights) -> None:
        self._hashes, self._table, self._like = hashes, table, like
        self._d, self._k = like.hidden.cols, like.output.cols
        room = s + max(self._d, self._k)
        kind = like.hidden.values.cpu().numpy().dtype
        codes = np.zeros((room, len(table)), np.int32)
        ranks = (np.zeros(room) for _ in range(3))
        self._held = Held(np.zeros(room, np.int64), np.zeros(room, kind), codes, *ranks)
        self._count = 0
        self._rules = Rules(s, self._d, order == "blocks")
        self._made = self._known = self._coded(np.empty(0, np.int64))

    def keep(self, updates: Callable[[], Iterator[Update]]) -> Weights:
        """Apply a step and return the weights that stay.

        ``updates`` gives neurons in ascending order, a tile at a time; all others have neither weights nor updates. It
        is called twice in the order ``global``, and must then give the same.
        """
        from mlpiht_cli.linalg import fold  # loads numba

        if not self._rules.adds:
            self._count = 0
            for update in updates():
                fold.add(self._table, self._moved(update))
        for update in updates():
            self._count = fold.fold(self._table, self._held, self._count, self._moved(update), self._rules)
        return self._weights()

    def _moved(self, update: Update) -> Moved:
        """Return a tile for the kernels; the codes made last also serve some of their neurons."""
        ids = update.ids.cpu().numpy()
        if not np.array_equal(self._known.ids, ids):
            place = np.searchsorted(self._made.ids[:-1], ids)
            if len(self._made.ids) and np.array_equal(self._made.ids[place], ids):
                made = self._made
                self._known = _Coded(made.ids[place], made.keys[place], made.codes[place])
            else:
                self._made = self._known = self._coded(ids)
        _, keys, codes = self._known
        weights, change = update.weights.cpu().numpy(), update.change.cpu().numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # a fit that diverges is told of by its loop
            moved = (weights + change).astype(weights.dtype, copy=False)
        return Moved(keys, moved, change, codes)

    def _coded(self, ids: NDArray[np.int64]) -> _Coded:
        """Compute keys and codes of some neurons."""
        hidden, output = np.arange(self._d), np.arange(self._k) + self._like.hidden.rows * self._d
        keys = np.hstack([ids[:, None] * self._d + hidden, ids[:, None] * self._k + output])
        return _Coded(ids, keys, self._hashes.codes(keys))

    def _weights(self) -> Weights:
        """Return the entries held as weights."""
        keys, values = self._held.keys[: self._count], self._held.values[: self._count]
        order = np.argsort(keys)
        keys, values = keys[order], values[order]
        size = self._like.hidden.rows * self._d
        split = int(np.searchsorted(keys, size))
        parts = (keys[:split], values[:split]), (keys[split:] - size, values[split:])
        return Weights(*(_matrix(*part, like) for part, like in zip(parts, self._like.parts, strict=True)))


def _matrix(index: NDArray[np.int64], values: NDArray[np.floating], like: SparseMatrix) -> SparseMatrix:
    found = SparseMatrix(torch.from_numpy(index), torch.from_numpy(values), like.rows, like.cols)
    return found.to(like.values.device)
