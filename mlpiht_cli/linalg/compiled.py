"""The gated ReLU operator on the CPU, in compiled kernels, without a float array of ``n x s`` or ``n x m`` numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg import kernels
from mlpiht_cli.linalg.blocks import Masked, Support, Target, Weighted
from mlpiht_cli.linalg.gates import TILE, GateRule
from mlpiht_cli.linalg.kernels import Sums
from mlpiht_cli.linalg.operators import Descent, GatedOperator, Quadratic, Tile, by_neuron
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threads import PANELS, share

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_BYTES = 4096
"""Bytes of one feature in a chunk, 1024 samples in float32: four neurons and features fit into the level-1 cache."""
HELD_SHARE = 0.5
"""Masks are kept if they take at most this share of the memory of the features."""
GRAM_SIZE = 20
"""A Gram matrix replaces products with columns if there are at most this many columns for each product."""
GRAM_NUMBERS = 2**17
"""Largest total size of the Gram matrices of all panels, in numbers, if there is more than one panel."""
_NONE = np.empty(0, dtype=np.int64)


def pieces(data: Masked) -> tuple[int, int]:
    """Return the number of chunks of the samples, and the number of panels of a sum."""
    chunks = -(-data.features.shape[1] // data.chunk)
    return chunks, min(PANELS, chunks)


def no_sums(panels: int) -> Sums:
    """Return sums that are not computed."""
    return Sums(np.zeros((panels, 0)), np.zeros((panels, 0, 0)), np.zeros((panels, 0, 0)), _NONE)


def support_of(start: NDArray[np.int64], col: NDArray[np.int64], row: NDArray[np.int64]) -> Support:
    """Return coordinates by neuron for the kernels; ``col`` are columns of the data."""
    times = np.bincount(col)
    return Support(start, (np.cumsum(times > 0) - 1)[col], row, np.flatnonzero(times))


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
        if not features.is_contiguous():
            raise ValueError("the features must be contiguous, feature by feature")
        self._x = features.numpy()
        self._words = -(-features.shape[1] // 64)
        self._chunk = 64 * max(1, min(CHUNK_BYTES // (64 * features.element_size()), self._words))
        self.chunks, self._panels = pieces(self.data(self.empty(0)))
        self._held: NDArray[np.uint64] | None = None

    def data(self, words: NDArray[np.uint64]) -> Masked:
        """Return features and masks for the kernels."""
        return Masked(self._x, words, self._chunk)

    def columns(self, index: Tensor) -> CompiledColumns:
        """Return the columns of the operator at ``index``; columns of dead neurons are zero."""
        words, support = self._support(index)
        return CompiledColumns(self.data(words), support, by_neuron(self._signs, index // len(self._x)))

    def descend(self, weights: SparseMatrix, y: Tensor) -> Descent:
        """Return residual and gradients at the weights; the tiles hold the live neurons.

        Missing masks of gates that are the weights, the residual, and the gradients of at most a tile of neurons take
        one pass over the data.
        """
        is_missing = self._held is None and self._gates.few and self._gates.follows(weights)
        if is_missing:
            self._held = self.empty(self._gates.count + 1)
        is_only, d = self._gates.count <= self._tile and self._is_held, len(self._x)
        support = self.columns(weights.index)
        gate = weights.values if is_missing else weights.values[:0]
        sums = no_sums(self._panels)
        if is_only:
            rows = np.arange(self._gates.count)
            sums = sums._replace(dense=np.zeros((self._panels, len(rows), d)), rows=rows)
        else:
            sums = sums._replace(sparse=np.zeros((self._panels, len(weights.index))))
        residual = support.descend(weights.values, y, sums, gate)
        if not is_only:
            return Descent(support, residual, support.signed_sum(sums.sparse), self._tiles(residual))
        tiles = [self._signed(rows, sums.dense) for rows in self._gates.tiles(self._tile)]
        known = torch.cat([*(tile.values for tile in tiles), torch.zeros(1, d, dtype=torch.float64)])
        # The last row serves all dead neurons.
        gradient = known[self._gates.places(weights.index // d), weights.index % d]
        return Descent(support, residual, gradient, iter(tiles))

    def _tiles(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``X^T D_j residual`` for the live neurons, a tile at a time, float64."""
        for rows in self._gates.tiles(self._tile):
            words, places = self.words(rows)
            out = np.zeros((self._panels, len(rows), len(self._x)))
            share(kernels.dense_adjoint, len(out), self.data(words), places, residual.numpy(), out)
            yield self._signed(rows, out)

    def _signed(self, rows: Tensor, out: NDArray[np.float64]) -> Tile:
        values, signs = torch.from_numpy(out.sum(axis=0)), by_neuron(self._signs, rows)
        return Tile(rows, values if signs is None else values * signs[:, None])

    def masks(self, neurons: Tensor) -> Tensor:
        """Return ``1[X h_j > 0]`` of the given neurons (ascending), bool ``[len(neurons), n]``."""
        words, row = self.words(neurons)
        octets = np.ascontiguousarray(words[:, row].T).astype("<u8").view(np.uint8)
        return torch.from_numpy(np.unpackbits(octets, axis=1, count=self._x.shape[1], bitorder="little").astype(bool))

    def words(self, neurons: Tensor) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return masks, and for each of the neurons (ascending) the row of its mask."""
        if not self._is_held:
            return self._computed(neurons), np.arange(len(neurons))
        if self._held is None:
            live = [self._computed(rows) for rows in self._gates.tiles(self._tile)]
            self._held = np.concatenate([*live, self.empty(1)], axis=1)  # the last row serves all dead neurons
        return self._held, self._gates.places(neurons).numpy()

    @property
    def _is_held(self) -> bool:
        """Whether the masks of all live neurons are kept."""
        return self._gates.few or self._gates.count * self._words * 8 <= HELD_SHARE * self._x.nbytes

    def empty(self, rows: int) -> NDArray[np.uint64]:
        """Return masks that close all samples, for some neurons."""
        return np.zeros((self._words, rows), dtype=np.uint64)

    def _support(self, index: Tensor) -> tuple[NDArray[np.uint64], Support]:
        """Return masks, and the coordinates by neuron."""
        place, d = index.numpy(), len(self._x)
        neuron = place // d
        first = np.flatnonzero(np.diff(neuron, prepend=-1))
        words, row = self.words(torch.from_numpy(neuron[first]))
        return words, support_of(np.append(first, len(place)), place - neuron * d, row)

    def _computed(self, neurons: Tensor) -> NDArray[np.uint64]:
        """Compute the masks of the neurons."""
        parts = [self.empty(0)]
        for some in torch.split(neurons, self._tile) if len(neurons) else ():
            directions, words = self._gates.directions(some).numpy(), self.empty(len(some))
            if 4 * np.count_nonzero(directions) > directions.size:
                share(kernels.dense_gates, self.chunks, self.data(words), directions)
            else:
                row, col = np.nonzero(directions)
                start = np.searchsorted(row, np.arange(len(directions) + 1))
                support = support_of(start, col, np.arange(len(directions)))
                share(kernels.gates, self.chunks, self.data(words), Weighted(support, directions[row, col]))
            parts.append(words)
        return parts[1] if len(parts) == 2 else np.concatenate(parts, axis=1)


class CompiledColumns:
    """Columns of a :class:`CompiledOperator`, with products summed in float64; the columns are never stored."""

    def __init__(self, data: Masked, support: Support, signs: Tensor | None) -> None:
        self._data, self._support, self._signs = data, support, signs
        self._chunks, self._panels = pieces(data)

    def weighted(self, values: Tensor) -> Weighted:
        """Return the coordinates with values, times the signs of their neurons, in the dtype of the features."""
        return Weighted(self._support, self._signed(values).numpy().astype(self._data.features.dtype))

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``, in the dtype of the features."""
        out = np.empty(self._data.features.shape[1], self._data.features.dtype)
        share(kernels.forward, self._chunks, self._data, self.weighted(values), out)
        return torch.from_numpy(out)

    def descend(self, values: Tensor, y: Tensor, sums: Sums, gate: Tensor | None = None) -> Tensor:
        """Add to the sums and return the residual ``A_S values - y``; ``gate`` are gate vectors without masks."""
        residual = np.empty(self._data.features.shape[1], self._data.features.dtype)
        fit = self.weighted(values), Target(y.contiguous().numpy(), residual)
        missing = residual[:0] if gate is None else gate.numpy()
        share(kernels.descend, len(sums.sparse), self._data, fit, missing, sums)
        return torch.from_numpy(residual)

    def quadratic(self, values: Tensor, y: Tensor, products: int) -> Quadratic:
        """Return the model of ``|A_S w - y|^2 / 2`` at ``values``; a small one has the Gram matrix ``A_S^T A_S``."""
        size = len(self._support.col)
        if size > GRAM_SIZE * products or not size:
            sums = no_sums(self._panels)._replace(sparse=np.zeros((self._panels, size)))
            self.descend(values, y, sums)
            return Quadratic(self.signed_sum(sums.sparse), self._normal)
        padded, panels = size + -size % 4, max(1, min(self._panels, GRAM_NUMBERS // size**2))
        sums = no_sums(panels)._replace(sparse=np.zeros((panels, size)), gram=np.zeros((panels, padded, padded)))
        self.descend(values, y, sums)
        lower = torch.from_numpy(sums.gram.sum(axis=0)[:size, :size]).tril()
        gram, signs = lower + lower.tril(-1).T, self._signs
        if signs is not None:
            gram = gram * signs[:, None] * signs

        def normal(v: Tensor) -> tuple[Tensor, Tensor]:
            given = v.double()
            image = (gram * given).sum(1)  # in one order for all rows, so that equal columns stay equal; gemv's differ
            return image, given @ image

        return Quadratic(self.signed_sum(sums.sparse), normal, gram)

    def _normal(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``A_S^T A_S values`` (float64) and ``|A_S values|^2``, in one pass over the data."""
        out = np.zeros((self._panels, len(self._support.col) + 1))
        share(kernels.normal, len(out), self._data, self.weighted(values), out)
        total = torch.from_numpy(out.sum(axis=0))
        return self._signed(total[:-1]), total[-1]

    def signed_sum(self, sums: NDArray[np.float64]) -> Tensor:
        """Return sums of the coordinates over all panels, times the signs of their neurons."""
        return self._signed(torch.from_numpy(sums.sum(axis=0)))

    def _signed(self, values: Tensor) -> Tensor:
        return values if self._signs is None else values * self._signs
