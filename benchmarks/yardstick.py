"""The reference implementation: one-output IHT, neuron by neuron in float64 NumPy, as in protocol.md (section 1).

Nothing is rearranged: ``A = [D_1 X ... D_m X]`` is applied block by block, and Armijo tests evaluate ``f`` at every
trial point. If the formulas leave a choice, the yardstick takes the faster one, so that it does not flatter the ratios:
``g`` is read off ``A^T r`` instead of being computed again, and the next inner step reuses the residual of an accepted
trial.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import clock
from benchmarks.clock import Seconds
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
"""Indices of a minibatch's rows."""
Epochs = Iterable[Iterable[Rows]]

FIRST_STEP = 1e-14
CURVATURE_FLOOR = 1e-8
DECREASE = 0.9
HALVINGS = 10


@dataclass(frozen=True)
class Literal:
    """Settings of the yardstick.

    Attributes
    ----------
    s
        Budget.
    gates
        Random gates of the start, ``[m, d]``.
    steps
        Number of full-batch steps; minibatches set their own number.
    inner
        Number of refinement steps.
    skip_dead
        False: every sum over j has all m terms, as in the formula. True: sums leave out blocks whose gate is zero, and
        products with A_S leave out blocks without support, as any careful program does.
    """

    s: int
    gates: Array
    steps: int = 15
    inner: int = 10
    skip_dead: bool = False


class Blocks:
    """``A = [D_1 X ... D_m X]`` with ``D_j = diag(1[X h_j > 0])``, applied block by block.

    Parameters
    ----------
    x
        Inputs ``[n, d]``, C-contiguous.
    gates
        Gate vectors ``[m, d]``.
    skip_dead
        See :class:`Literal`.
    """

    def __init__(self, x: Array, gates: Array, skip_dead: bool) -> None:
        self.x, self.shape, self._skip = x, gates.shape, skip_dead
        alive = gates.any(axis=1) if skip_dead else np.ones(len(gates), dtype=bool)
        self.masks: dict[int, Mask] = {j: x @ gates[j] > 0 for j in np.flatnonzero(alive).tolist()}

    def matvec(self, w: Array) -> Array:
        """Return ``A w = sum_j D_j X w_j``, ``[m, d] -> [n]``."""
        out = np.zeros(len(self.x))
        for j, mask in self.masks.items():
            if not self._skip or w[j].any():
                out += mask * (self.x @ w[j])
        return out

    def rmatvec(self, r: Array, support: Mask | None = None) -> Array:
        """Return ``A^T r``, ``[n] -> [m, d]``, zero outside ``support`` ``[m, d]``."""
        out = np.zeros(self.shape)
        for j, mask in self.masks.items():
            if not self._skip or support is None or support[j].any():
                out[j] = self.x.T @ (mask * r)
        return out if support is None else np.where(support, out, 0.0)


def largest(z: Array, s: int) -> Mask:
    """Return a mask of the ``s`` nonzero entries of largest magnitude; ties by lowest position."""
    flat = z.ravel()
    keep = np.zeros(flat.size, dtype=bool)
    keep[np.argsort(-np.abs(flat), kind="stable")[:s]] = True
    kept: Mask = keep & (flat != 0)
    return kept.reshape(z.shape)


def step(blocks: Blocks, y: Array, w: Array, s: int, inner: int) -> Array:
    """Take one step of accelerated IHT on ``f(w) = |A w - y|^2``; ``w`` is ``[m, d]``."""
    support = w != 0
    full = blocks.rmatvec(blocks.matvec(w) - y)
    mu = FIRST_STEP
    if support.any():
        g = np.where(support, full, 0.0)
        mu = float((g**2).sum() / ((blocks.matvec(g) ** 2).sum() + CURVATURE_FLOOR))
    z = w - mu * full
    kept = largest(z, s)
    return refine(blocks, y, np.where(kept, z, 0.0), (mu, inner))


def refine(blocks: Blocks, y: Array, start: Array, settings: tuple[float, int]) -> Array:
    """Refine ``start`` by gradient steps on its support, with Armijo backtracking; ``settings``: mu, step count."""
    mu, inner = settings
    kept = start != 0
    v, r = start, blocks.matvec(start) - y
    f = float((r**2).sum())
    for _ in range(inner):
        g = blocks.rmatvec(r, kept)
        for _ in range(HALVINGS + 1):
            r = blocks.matvec(v - mu * g) - y
            trial = float((r**2).sum())
            if f - trial >= DECREASE * mu * float((g**2).sum()):
                break
            mu /= 2
        else:
            return start
        v, f = v - mu * g, trial
    return v


def iht(x: Array, y: Array, run: Literal, batches: Epochs | None = None) -> tuple[Array, list[Seconds]]:
    """Run IHT from zero weights.

    Parameters
    ----------
    x, y
        Inputs ``[n, d]``, C-contiguous, and targets ``[n]``.
    run
        Settings.
    batches
        Minibatches of each epoch from :func:`batch_rows`; None means the full batch, one step an epoch. The random
        gates serve the first epoch and the first step of the second one; then the gates follow the weights.

    Returns
    -------
    tuple
        Weights ``[m, d]``, and the seconds of each step.
    """
    w, gates, taken = np.zeros_like(run.gates), run.gates, []
    epochs: Iterable[Iterable[Rows | None]] = [[None]] * run.steps if batches is None else batches
    for epoch, rows_of in enumerate(epochs):
        for rows in rows_of:
            start = clock.now()
            here, there = (x, y) if rows is None else (x[rows], y[rows])
            w = step(Blocks(here, gates, run.skip_dead), there, w, run.s, run.inner)
            gates = gates if epoch == 0 else w
            taken.append(clock.since(start))
    return w, taken


def batch_rows(n: int, size: int, epochs: int, seed: int) -> list[list[Rows]]:
    """Return the rows of the minibatches of each epoch in protocol order (section 3: torch generator ``seed + 3``)."""
    order = Streams(seed).batch_order()
    orders = [order.draw(n) for _ in range(epochs)]
    return [[rows.numpy() for rows in torch.split(permutation, size)] for permutation in orders]


def model(w: Array) -> SparseMLP:
    """Return the network of fused weights ``[m, d]`` with all output signs +1."""
    return SparseMLP((SparseMatrix.from_dense(torch.from_numpy(w)),), torch.ones(len(w), dtype=torch.float64))
