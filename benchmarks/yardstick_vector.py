"""The literal yardstick for several outputs: protocol.md (section 1), neuron by neuron in float64 NumPy.

For each neuron ``P_j = (D_j X)^T R``, ``grad w1_j = P_j w2_j`` and ``grad w2_j = P_j^T w1_j``, with the residual
``R = (yhat - Y) / n`` of the squared loss.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.yardstick import Array, Epochs, Mask, Rows, largest
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.countsketch import HASHES, sketch_width
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_vector import paper_step


@dataclass(frozen=True)
class LiteralVector:
    """Settings of the yardstick: ``m`` neurons, budget ``s``, and the fields of ``iht_vector``.

    With ``skip_dead`` the sums leave out neurons whose gate is zero.
    """

    m: int
    s: int
    steps: int = 15
    selection: Literal["count_sketch", "accumulated", "magnitude"] = "count_sketch"
    skip_dead: bool = False


class LiteralSketch:
    """A Count Sketch of vectors of ``size`` entries: four tables, signed sums, the median of four estimates."""

    def __init__(self, size: int, s: int, words: NDArray[np.int64]) -> None:
        self._width = sketch_width(size, s)
        keys = np.arange(size, dtype=np.uint64)
        # Products wrap modulo 2^64; the upper 32 bits are the hash.
        hashes = [(keys * a + b) >> np.uint64(32) for a, b in words.astype(np.uint64)]
        self._buckets = [((h >> np.uint64(1)) * np.uint64(self._width) >> np.uint64(31)).astype(int) for h in hashes]
        self._signs = [(h & np.uint64(1)).astype(float) * 2.0 - 1.0 for h in hashes]
        self._tables = np.zeros((len(words), self._width))

    def add(self, values: Array) -> None:
        """Add a vector to the sketch."""
        for table, bucket, sign in zip(self._tables, self._buckets, self._signs, strict=True):
            table += np.bincount(bucket, weights=sign * values, minlength=self._width)

    def estimate(self) -> Array:
        """Return the estimates of all entries."""
        rows = zip(self._tables, self._buckets, self._signs, strict=True)
        return np.asarray(np.median([table[bucket] * sign for table, bucket, sign in rows], axis=0))


class _Chooser:
    """Ranks the entries for each ``selection``."""

    def __init__(self, run: LiteralVector, size: int, streams: Streams) -> None:
        self._kind, self._sum = run.selection, np.zeros(size)
        self._sketch = LiteralSketch(size, run.s, streams.hashes(HASHES))

    def rank(self, moved: Array, update: Array) -> Array:
        if self._kind == "magnitude":
            return moved
        if self._kind == "accumulated":
            self._sum += update
            return self._sum
        self._sketch.add(update)
        return self._sketch.estimate()


def iht_vector(
    x: Array, y: Array, run: LiteralVector, streams: Streams, batches: Epochs | None = None
) -> tuple[Array, Array, list[float]]:
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
        Minibatches of each epoch; None means the full batch.

    Returns
    -------
    tuple
        Hidden weights ``[m, d]``, output weights ``[m, k]``, wall seconds of each step.
    """
    d, k = x.shape[1], y.shape[1]
    random, revival = streams.gates(d).rows(0, run.m), streams.revival()
    chooser, mu = _Chooser(run, run.m * (d + k), streams), paper_step(run.m, run.s, "squared")
    w1, w2, taken = np.zeros((run.m, d)), np.zeros((run.m, k)), []
    epochs: Iterable[Iterable[Rows | None]] = [[None]] * run.steps if batches is None else batches
    for epoch, rows_of in enumerate(epochs):
        for number, rows in enumerate(rows_of):
            start = time.perf_counter()
            here, there = (x, y) if rows is None else (x[rows], y[rows])
            masks = _masks(here, random if epoch == 0 else w1, run.skip_dead)
            residual = (_predict(here, masks, w1, w2) - there) / len(here)
            if number == 0 and (epoch == 0 or batches is not None):
                # Residual and gates are those of the network before its blocks are restarted.
                w1, w2 = (_revived(part, revival) for part in (w1, w2))
            slope1, slope2 = _gradients(here, masks, residual, (w1, w2))
            w = np.concatenate([w1, w2], axis=1)
            update = -mu * np.concatenate([slope1, slope2], axis=1)
            moved = (w + update).ravel()
            kept = largest(chooser.rank(moved, update.ravel()) * (moved != 0), run.s)
            w = np.where(kept, moved, 0.0).reshape(w.shape)
            w1, w2 = w[:, :d].copy(), w[:, d:].copy()
            taken.append(time.perf_counter() - start)
    return w1, w2, taken


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


def _revived(part: Array, revival: np.random.Generator) -> Array:
    bound = 1.0 / np.sqrt(part.size)
    drawn = revival.uniform(-bound, bound, size=part.shape)
    return np.where(part.max(axis=1, keepdims=True) == 0, drawn, part)


def model(w1: Array, w2: Array) -> SparseMLP:
    """Return the network of hidden weights ``[m, d]`` and output weights ``[m, k]``."""
    return SparseMLP(tuple(SparseMatrix.from_dense(torch.from_numpy(w.copy())) for w in (w1, w2.T)))
