"""Sensing operators: the linear map A of the convexified network, applied without forming it.

For gates ``h`` the fused two-layer network is linear in its weights,

    yhat = sum_j sign_j * 1[X h_j > 0] * (X w_j) = A w,   A = [sign_1 D_1 X, ..., sign_m D_m X]   (P1, section 3),

an ``n x (m d)`` matrix that is never formed. The indicator is strict, so a zero gate is a dead neuron.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mlpiht_cli.linalg.gates import GateRule
from mlpiht_cli.linalg.sparse import SparseMatrix

CACHE_BYTES = 256 * 2**20
"""Most memory one operator spends on what it could recompute: gate masks, and columns of a support."""


DENSE_SUPPORT = 6
"""Coordinates of its neurons that a support may have per coordinate of its own for dense products to be faster."""
TILE = 256
"""Most neurons in a tile."""
TILE_NUMBERS = 2**23
"""Most numbers of a tile's activations; with n samples a tile has at most TILE_NUMBERS / n neurons."""


class Tile(NamedTuple):
    """Part of a coordinate vector: the neurons ``rows`` (int64 ``[t]``) and their ``values`` ``[t, d]``."""

    rows: Tensor
    values: Tensor


class SupportOperator(Protocol):
    """The columns A_S of a sensing operator."""

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``."""

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``."""


class SensingOperator(Protocol):
    """A linear map from weights ``[rows, cols]`` to predictions ``[n]``, known by its action."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n, rows, cols)``: samples, neurons and inputs; there are ``rows * cols`` coordinates."""

    def columns(self, index: Tensor) -> SupportOperator:
        """Restrict to the coordinates ``index`` (int64 ascending, ``row * cols + col``)."""

    def matvec(self, weights: SparseMatrix) -> Tensor:
        """Return ``A w``, shape ``[n]``."""

    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``A^T residual`` in tiles of ascending neurons; neurons that are left out have zeros."""

    def dense(self) -> Tensor:
        """Return A, shape ``[n, rows * cols]``. For tests only."""


class GatedReLUOperator:
    """The sensing operator of a fused two-layer ReLU network.

    Parameters
    ----------
    features
        The inputs *feature by feature*, ``X^T``, shape ``[d, n]``, contiguous: a column of A is then a row
        of memory.
    gates
        The gate rule; its dead neurons cost nothing.
    m
        Hidden width.
    signs
        Fixed output signs, ``[m]`` of +1 and -1, or None for all +1 (the paper).
    tile
        Most neurons handled at a time; bounds the working memory and changes results by rounding only.
    """

    def __init__(
        self, features: Tensor, gates: GateRule, m: int, signs: Tensor | None = None, tile: int = TILE
    ) -> None:
        self._features, self._gates, self._m, self._signs = features, gates, m, signs
        self._tile = max(1, min(tile, TILE_NUMBERS // max(1, features.shape[1])))
        self._neurons = gates.neurons
        self._masks: dict[int, Tensor] = {}
        self._cached = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n, m, d)``."""
        return self._features.shape[1], self._m, self._features.shape[0]

    def columns(self, index: Tensor) -> GatedColumns | GatedNeurons:
        """Restrict to the coordinates ``index``; coordinates of dead neurons are zero columns."""
        d = self._features.shape[0]
        neurons, place = torch.unique(index // d, return_inverse=True)
        if len(neurons) * d <= DENSE_SUPPORT * len(index):
            signs = None if self._signs is None else self._signs[neurons]
            return GatedNeurons(self._features, place * d + index % d, self.masks(neurons), signs)
        signs = None if self._signs is None else self._signs[index // d]
        return GatedColumns(self._features, index % d, self.masks(neurons), place, signs)

    def matvec(self, weights: SparseMatrix) -> Tensor:
        """Return ``A w``, shape ``[n]``."""
        return self.columns(weights.index).matvec(weights.values)

    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``X^T D_j residual`` for the live neurons, a tile at a time."""
        for start in range(0, len(self._neurons), self._tile):
            rows = self._neurons[start : start + self._tile]
            values = (self._tile_mask(start) * residual) @ self._features.T
            yield Tile(rows, values if self._signs is None else values * self._signs[rows, None])

    def masks(self, neurons: Tensor) -> Tensor:
        """Return ``1[X h_j > 0]`` of the given neurons (ascending), bool ``[len(neurons), n]``."""
        out = torch.zeros(len(neurons), self._features.shape[1], dtype=torch.bool, device=self._features.device)
        if not len(self._neurons):
            return out
        place = torch.searchsorted(self._neurons, neurons).clamp(max=len(self._neurons) - 1)
        live = self._neurons[place] == neurons
        block = place // self._tile
        for b in torch.unique(block[live]).tolist():
            here = torch.nonzero(live & (block == b)).flatten()
            out[here] = self._tile_mask(b * self._tile)[place[here] - b * self._tile]
        return out

    def dense(self) -> Tensor:
        """Return A, shape ``[n, m * d]``. For tests only."""
        x = self._features.T
        mask = self.masks(torch.arange(self._m, device=x.device))
        signed = mask.to(x.dtype) if self._signs is None else mask * self._signs[:, None]
        return torch.einsum("jn,nd->njd", signed, x).reshape(x.shape[0], -1)

    def _tile_mask(self, start: int) -> Tensor:
        """Masks of one tile of live neurons, ``[t, n]``; kept while the cache has room."""
        if start in self._masks:
            return self._masks[start]
        directions = self._gates.directions(self._neurons[start : start + self._tile])
        mask = directions @ self._features > 0
        if self._cached + mask.numel() <= CACHE_BYTES:
            self._masks[start] = mask
            self._cached += mask.numel()
        return mask


class GatedColumns:
    """Columns of a gated ReLU operator: feature ``col`` masked by its neuron's gate.

    The masked columns are held when they fit in ``CACHE_BYTES``; otherwise they are rebuilt in chunks of samples
    at every product. Masks of the support's neurons, one byte a sample and neuron, are held in any case.
    """

    def __init__(self, features: Tensor, col: Tensor, mask: Tensor, place: Tensor, signs: Tensor | None) -> None:
        self._features, self._col, self._mask, self._place, self._signs = features, col, mask, place, signs
        n = features.shape[1]
        sample_bytes = max(1, len(col)) * features.element_size()
        step = max(1, CACHE_BYTES // sample_bytes)
        self._chunks = [slice(a, min(a + step, n)) for a in range(0, n, step)]
        self._held = self._build(self._chunks[0]) if len(self._chunks) == 1 else None

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``."""
        signed = values if self._signs is None else values * self._signs
        return torch.cat([signed @ self._block(chunk) for chunk in self._chunks])

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``."""
        out = residual.new_zeros(len(self._col))
        for chunk in self._chunks:
            out += self._block(chunk) @ residual[chunk]
        return out if self._signs is None else out * self._signs

    def _block(self, chunk: slice) -> Tensor:
        return self._build(chunk) if self._held is None else self._held

    def _build(self, chunk: slice) -> Tensor:
        """Masked columns of the samples in ``chunk``, shape ``[|S|, chunk]``."""
        block = self._features[:, chunk].index_select(0, self._col)
        return block.mul_(self._mask[:, chunk].index_select(0, self._place))


class GatedNeurons:
    """Columns of a gated ReLU operator that fill their neurons well: products with whole neurons, then masks.

    A dense product reads every feature once for all neurons, where columns are read one by one.

    Parameters
    ----------
    features
        Inputs feature by feature, ``[d, n]``.
    index
        Coordinates of the columns among those of the neurons at hand, int64 ascending ``[|S|]``.
    mask
        Masks of these neurons, bool ``[neurons, n]``.
    signs
        Their output signs, ``[neurons]``, or None.
    """

    def __init__(self, features: Tensor, index: Tensor, mask: Tensor, signs: Tensor | None) -> None:
        self._features, self._index = features, index
        self._mask = mask.to(features.dtype)
        if signs is not None:
            self._mask *= signs[:, None]

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``."""
        weights = values.new_zeros(len(self._mask) * len(self._features))
        weights[self._index] = values
        return (weights.view(len(self._mask), len(self._features)) @ self._features).mul_(self._mask).sum(dim=0)

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``."""
        return ((self._mask * residual) @ self._features.T).flatten()[self._index]


class DenseOperator:
    """A matrix that is there, such as Gaussian sensing: ``A`` of shape ``[n, N]`` as one row of ``N`` coordinates."""

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(n, 1, N)``."""
        return self._matrix.shape[0], 1, self._matrix.shape[1]

    def columns(self, index: Tensor) -> DenseColumns:
        """Restrict to the coordinates ``index``."""
        return DenseColumns(self._matrix[:, index])

    def matvec(self, weights: SparseMatrix) -> Tensor:
        """Return ``A w``, shape ``[n]``."""
        return self.columns(weights.index).matvec(weights.values)

    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``A^T residual`` in one tile."""
        yield Tile(torch.zeros(1, dtype=torch.int64, device=residual.device), (residual @ self._matrix)[None, :])

    def dense(self) -> Tensor:
        """Return A, shape ``[n, N]``. For tests only."""
        return self._matrix


class DenseColumns:
    """Columns of a matrix, ``[n, |S|]``."""

    def __init__(self, columns: Tensor) -> None:
        self._columns = columns

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``."""
        return self._columns @ values

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``."""
        return residual @ self._columns
