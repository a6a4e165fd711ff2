"""The literal yardstick for several outputs: protocol.md (section 1), neuron by neuron in float64 NumPy.

For each neuron ``P_j = (D_j X)^T R``, ``grad w1_j = P_j w2_j`` and ``grad w2_j = P_j^T w1_j``, with the residual
``R = (yhat - Y) / n`` of the squared loss. The weights are one vector: W1 row by row, then W2 row by row. A key is a
position in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import clock
from benchmarks.clock import Seconds
from benchmarks.yardstick import Array, Epochs, Mask, Rows
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_vector import paper_step

HASHES = 4
Keys = NDArray[np.int64]


@dataclass(frozen=True)
class LiteralVector:
    """Settings of the yardstick: ``m`` neurons, budget ``s``, and the fields of ``iht_vector``.

    With ``skip_dead`` sums leave out neurons whose gate is zero, and the selection leaves out blocks without weights.
    """

    m: int
    s: int
    steps: int = 15
    selection: Literal["count_sketch", "accumulated", "magnitude"] = "count_sketch"
    skip_dead: bool = False


class LiteralSketch:
    """A Count Sketch of vectors of ``size`` entries: float32 tables, signed sums, the median of the estimates.

    ``words`` has the multiplier and the offset of each hash function; see :class:`mlpiht_cli.rng.HashFunctions`.
    """

    def __init__(self, size: int, width: int, words: NDArray[np.int64]) -> None:
        keys = np.arange(size, dtype=np.uint64)
        # Products wrap modulo 2^64; the upper 32 bits are the hash.
        hashes = [(keys * a + b) >> np.uint64(32) for a, b in words.astype(np.uint64)]
        self.buckets = [((h >> np.uint64(1)) * np.uint64(width) >> np.uint64(31)).astype(np.int64) for h in hashes]
        self.signs = [np.where(h & np.uint64(1), 1, -1).astype(np.float32) for h in hashes]
        self._tables = np.zeros((len(words), width), np.float32)

    def add(self, keys: Keys, values: Array) -> None:
        """Add the values of some entries to the sketch, one entry after the other."""
        for table, bucket, sign in zip(self._tables, self.buckets, self.signs, strict=True):
            np.add.at(table, bucket[keys], sign[keys] * values.astype(np.float32))

    def estimate(self, keys: Keys) -> NDArray[np.float32]:
        """Return the estimates of some entries."""
        rows = zip(self._tables, self.buckets, self.signs, strict=True)
        return np.asarray(np.median([table[bucket[keys]] * sign[keys] for table, bucket, sign in rows], axis=0))


class _Selection:
    """Keeps ``s`` weights, block by block, by the rank that ``selection`` sets."""

    def __init__(self, run: LiteralVector, sizes: tuple[int, int], streams: Streams) -> None:
        self._run, (d, k) = run, sizes
        size = run.m * (d + k)
        width = math.floor(run.s * max(1.0, math.log(size / run.s)))
        self._sum, self._sketch = np.zeros(size), LiteralSketch(size, width, streams.hashes(HASHES, width).words)
        hidden, output = np.split(np.arange(size), [run.m * d])
        self._blocks = [block for j in range(run.m) for block in (hidden[j * d :][:d], output[j * k :][:k])]

    def keep(self, before: Array, moved: Array, update: Array) -> Array:
        """Return the weights that stay.

        The new values ``moved`` replace the weights held ``before`` the step, block by block. If more than ``s`` are
        held then, those of largest rank at that moment stay; of equal ranks that of the highest key.
        """
        held = before.copy()
        for block in self._blocks:
            if self._run.skip_dead and not held[block].any() and not moved[block].any():
                continue
            self._add(block, update[block])
            held[block] = moved[block]
            keys = np.flatnonzero(held)
            if len(keys) > self._run.s:
                order = np.lexsort((keys, np.abs(self._rank(keys, held))))
                held[keys[order[: -self._run.s]]] = 0.0
        return held

    def _add(self, keys: Keys, update: Array) -> None:
        if self._run.selection == "accumulated":
            self._sum[keys] += update
        elif self._run.selection == "count_sketch":
            self._sketch.add(keys, update)

    def _rank(self, keys: Keys, held: Array) -> NDArray[np.floating]:
        if self._run.selection == "magnitude":
            return held[keys]
        return self._sum[keys] if self._run.selection == "accumulated" else self._sketch.estimate(keys)


class _Network:
    """The weights of a fit, and the step that changes them."""

    def __init__(self, run: LiteralVector, sizes: tuple[int, int], streams: Streams) -> None:
        self._skip, self._uniform = run.skip_dead, streams.revival(max(sizes)).rows(0, run.m)
        self._mu, self._selection = paper_step(run.m, run.s, "squared"), _Selection(run, sizes, streams)
        self.w1, self.w2 = (np.zeros((run.m, size)) for size in sizes)

    def step(self, x: Array, y: Array, gates: Array, revives: bool) -> None:
        """Take one step; if it ``revives``, blocks whose largest entry is 0 start from their uniform numbers.

        Residual and gates are those of the network before blocks are revived.
        """
        w1, w2 = self.w1, self.w2
        masks = _masks(x, gates, self._skip)
        residual = (_predict(x, masks, w1, w2) - y) / len(x)
        before = _flat(w1, w2)
        if revives:
            w1, w2 = (_revived(part, self._uniform) for part in (w1, w2))
        update = -self._mu * _flat(*_gradients(x, masks, residual, (w1, w2)))
        kept = self._selection.keep(before, _flat(w1, w2) + update, update)
        hidden, output = np.split(kept, [w1.size])
        self.w1, self.w2 = hidden.reshape(w1.shape), output.reshape(w2.shape)


def iht_vector(
    x: Array, y: Array, run: LiteralVector, streams: Streams, batches: Epochs | None = None
) -> tuple[Array, Array, list[Seconds]]:
    """Run IHT for several outputs from zero weights, with squared loss and the paper's step and restarts of blocks.

    Parameters
    ----------
    x, y
        Inputs ``[n, d]``, C-contiguous, and targets ``[n, k]``.
    run
        Settings.
    streams
        Streams that draw gates, restarted weights and hashes.
    batches
        Minibatches of each epoch; None means the full batch, one step an epoch. The random gates serve the first epoch
        and the first step of the second one; then the gates follow the hidden weights.

    Returns
    -------
    tuple
        Hidden weights ``[m, d]``, output weights ``[m, k]``, seconds of each step.
    """
    d, k = x.shape[1], y.shape[1]
    network, gates, taken = _Network(run, (d, k), streams), streams.gates(d).rows(0, run.m), []
    epochs: Iterable[Iterable[Rows | None]] = [[None]] * run.steps if batches is None else batches
    for epoch, rows_of in enumerate(epochs):
        for number, rows in enumerate(rows_of):
            start = clock.now()
            here, there = (x, y) if rows is None else (x[rows], y[rows])
            network.step(here, there, gates, number == 0 and (epoch == 0 or batches is not None))
            gates = gates if epoch == 0 else network.w1
            taken.append(clock.since(start))
    return network.w1, network.w2, taken


def _flat(hidden: Array, output: Array) -> Array:
    return np.concatenate([hidden.ravel(), output.ravel()])


def _masks(x: Array, gates: Array, skip_dead: bool) -> dict[int, Mask]:
    alive = gates.any(axis=1) if skip_dead else np.ones(len(gates), dtype=bool)
    return {j: x @ gates[j] > 0 for j in np.flatnonzero(alive).tolist()}


def _predict(x: Array, masks: dict[int, Mask], w1: Array, w2: Array) -> Array:
    """Return ``yhat = sum_j D_j X w1_j w2_j^T``."""
    out = np.zeros((len(x), w2.shape[1]))
    for j, mask in masks.items():
        out += np.outer(mask * (x @ w1[j]), w2[j])
    return out


def _gradients(x: Array, masks: dict[int, Mask], residual: Array, weights: tuple[Array, Array]) -> tuple[Array, Array]:
    w1, w2 = weights
    slope1, slope2 = np.zeros_like(w1), np.zeros_like(w2)
    for j, mask in masks.items():
        p = (mask[:, None] * x).T @ residual
        slope1[j], slope2[j] = p @ w2[j], p.T @ w1[j]
    return slope1, slope2


def _revived(part: Array, uniform: Array) -> Array:
    """Restart the blocks whose largest entry is 0 from the first of their uniform numbers."""
    fresh = uniform[:, : part.shape[1]] / np.sqrt(part.size)
    return np.where(part.max(axis=1, keepdims=True) == 0, fresh, part)


def model(w1: Array, w2: Array) -> SparseMLP:
    """Return the network of hidden weights ``[m, d]`` and output weights ``[m, k]``."""
    return SparseMLP(tuple(SparseMatrix.from_dense(torch.from_numpy(w.copy())) for w in (w1, w2.T)))
