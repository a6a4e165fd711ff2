"""The gated ReLU operator on the CPU, in compiled kernels, without a float array of ``n x s`` or ``n x m`` numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg import kernels
from mlpiht_cli.linalg.gates import GateRule
from mlpiht_cli.linalg.kernels import Masked, Support
from mlpiht_cli.linalg.operators import GatedOperator, Tile, by_neuron
from mlpiht_cli.linalg.threads import PANELS, share

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_BYTES = 8192
"""Bytes of one feature in a chunk: 2048 samples in float32. A hundred features then fit into the level-2 cache."""
HELD_SHARE = 0.5
"""Masks are kept if they take at most this share of the memory of the features."""
TILE = 64
"""Largest number of neurons whose products are in memory at a time."""


class CompiledOperator(GatedOperator):
    """The gated ReLU operator of :class:`~mlpiht_cli.linalg.operators.GatedOperator` with compiled products.

    Masks are bits: n / 8 bytes per neuron. The masks of the neurons of the support (at most s) are kept. The masks of
    all random gates are kept if they take at most ``HELD_SHARE`` of the memory of the features; for wider networks they
    are computed on demand, a tile of neurons at a time.
    """

    def __init__(
        self, features: Tensor, gates: GateRule, m: int, signs: Tensor | None = None, tile: int | None = None
    ) -> None:
        super().__init__(features, gates, m, signs, tile or TILE)
        self._x = features.numpy()
        n = features.shape[1]
        self._words = max(1, min(CHUNK_BYTES // features.element_size(), n + -n % 32) // 32)
        self._chunks = -(-n // (32 * self._words))
        self._held: NDArray[np.uint32] | None = None

    def columns(self, index: Tensor) -> CompiledColumns:
        """Return the columns of the operator at ``index``; columns of dead neurons are zero."""
        d = len(self._x)
        neurons, counts = torch.unique_consecutive(index // d, return_counts=True)
        start = np.concatenate([[0], counts.cumsum(0).numpy()])
        bits, row = self.bits(neurons)
        support = Support(start, (index % d).numpy(), row)
        return CompiledColumns(Masked(self._x, bits), support, by_neuron(self._signs, index // d))

    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``X^T D_j residual`` for the live neurons, a tile at a time, float64."""
        for rows in self._gates.tiles(self._tile):
            bits, places = self.bits(rows)
            out = np.zeros((min(PANELS, self._chunks), len(rows), len(self._x)))
            share(kernels.dense_adjoint, len(out), Masked(self._x, bits), places, residual.numpy(), out)
            values = torch.from_numpy(out.sum(axis=0))
            signs = by_neuron(self._signs, rows)
            yield Tile(rows, values if signs is None else values * signs[:, None])

    def masks(self, neurons: Tensor) -> Tensor:
        """Return ``1[X h_j > 0]`` of the given neurons (ascending), bool ``[len(neurons), n]``."""
        bits, row = self.bits(neurons)
        n = self._x.shape[1]
        runs = (bits[row][:, :, None, :] >> np.arange(32, dtype=np.uint32)[:, None]) & 1
        return torch.from_numpy(runs.reshape(len(row), -1)[:, :n].astype(bool))

    def bits(self, neurons: Tensor) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return masks, and for each of the neurons (ascending) the row of its mask."""
        size = self._gates.count * self._chunks * self._words * 4
        if not self._gates.few and size > HELD_SHARE * self._x.nbytes:
            return self._computed(neurons), np.arange(len(neurons))
        if self._held is None:
            live = [self._computed(rows) for rows in self._gates.tiles(self._tile)]
            self._held = np.concatenate([*live, self.empty(1)])  # the last row serves all dead neurons
        return self._held, self._gates.places(neurons).numpy()

    def empty(self, rows: int) -> NDArray[np.uint32]:
        """Return masks that close all samples, for some neurons."""
        return np.zeros((rows, self._chunks, self._words), dtype=np.uint32)

    def _computed(self, neurons: Tensor) -> NDArray[np.uint32]:
        """Compute the masks of the neurons."""
        bits = self.empty(len(neurons))
        for first in range(0, len(neurons), self._tile):
            part = Masked(self._x, bits[first : first + self._tile])
            directions = self._gates.directions(neurons[first : first + self._tile]).numpy()
            if 4 * np.count_nonzero(directions) > directions.size:
                share(kernels.dense_gates, self._chunks, part, directions)
            else:
                row, col = np.nonzero(directions)
                start = np.searchsorted(row, np.arange(len(directions) + 1))
                support = Support(start, np.ascontiguousarray(col), np.arange(len(directions)))
                share(kernels.gates, self._chunks, part, support, directions[row, col])
        return bits


class CompiledColumns:
    """Columns of a :class:`CompiledOperator`, with products summed in float64; the columns are never stored."""

    def __init__(self, data: Masked, support: Support, signs: Tensor | None) -> None:
        self._data, self._support, self._signs = data, support, signs

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``, in the dtype of the features."""
        out = np.empty(self._data.features.shape[1], self._data.features.dtype)
        share(kernels.forward, self._data.bits.shape[1], self._data, self._support, self._given(values), out)
        return torch.from_numpy(out)

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``, float64."""
        out = self._sums(0)
        share(kernels.adjoint, len(out), self._data, self._support, residual.numpy(), out)
        return self._signed(torch.from_numpy(out.sum(axis=0)))

    def normal(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``A_S^T A_S values`` (float64) and ``|A_S values|^2``, in one pass over the data."""
        out = self._sums(1)
        share(kernels.normal, len(out), self._data, self._support, self._given(values), out)
        total = torch.from_numpy(out.sum(axis=0))
        return self._signed(total[:-1]), total[-1]

    def _sums(self, more: int) -> NDArray[np.float64]:
        return np.zeros((min(PANELS, self._data.bits.shape[1]), len(self._support.col) + more))

    def _given(self, values: Tensor) -> NDArray[np.floating]:
        """Return the values times the signs of their neurons, in the dtype of the features."""
        return self._signed(values).numpy().astype(self._data.features.dtype)

    def _signed(self, values: Tensor) -> Tensor:
        return values if self._signs is None else values * self._signs
