"""Sensing operators: the linear map A of the convexified network, applied without storing it.

For gates ``h`` the fused two-layer network is linear in its weights,

    yhat = sum_j sign_j * 1[X h_j > 0] * (X w_j) = A w,   A = [sign_1 D_1 X, ..., sign_m D_m X]   (P1, section 3),

an ``n x (m d)`` matrix that is never stored. The indicator is strict, so a neuron with a zero gate is dead.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import torch

from mlpiht_cli.linalg.gates import GateRule
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor


class Tile(NamedTuple):
    """Part of a coordinate vector: the neurons ``rows`` (int64 ``[t]``) and their ``values`` ``[t, d]``."""

    rows: Tensor
    values: Tensor


class Quadratic(NamedTuple):
    """The model of ``|A_S w - y|^2 / 2`` at some values.

    Attributes
    ----------
    gradient
        ``A_S^T (A_S values - y)``, ``[|S|]``.
    normal
        Returns ``A_S^T A_S v`` and ``|A_S v|^2`` of any ``v``, ``[|S|] -> [|S|], []``.
    gram
        ``A_S^T A_S``, float64 ``[|S|, |S|]``, where it is known and kernels run; None elsewhere.
    """

    gradient: Tensor
    normal: Callable[[Tensor], tuple[Tensor, Tensor]]
    gram: Tensor | None = None


class SupportOperator(Protocol):
    """The columns A_S of a sensing operator. Sums over samples are float64."""

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``, in the dtype of the data."""

    def quadratic(self, values: Tensor, y: Tensor, products: int) -> Quadratic:
        """Return the model at ``values``; ``products`` is the number of products that are asked of it."""


class Descent(NamedTuple):
    """What a step from some weights needs.

    Attributes
    ----------
    support
        The columns of the weights.
    residual
        ``A w - y``, ``[n]``.
    gradient
        ``A_S^T residual`` for the columns of the weights, ``[|S|]``.
    tiles
        ``A^T residual`` in tiles of ascending neurons; neurons that are in no tile have zeros.
    """

    support: SupportOperator
    residual: Tensor
    gradient: Tensor
    tiles: Iterator[Tile]


class SensingOperator(Protocol):
    """A linear map from weights ``[rows, cols]`` to predictions ``[n]``, defined by its products."""

    @property
    def static(self) -> bool:
        """Whether shapes must not depend on values; coordinates from ``rows * cols`` on are then padding."""

    def columns(self, index: Tensor) -> SupportOperator:
        """Return the columns of the operator at ``index`` (int64 ascending, ``row * cols + col``)."""

    def descend(self, weights: SparseMatrix, y: Tensor) -> Descent:
        """Return residual and gradients at the weights, for targets ``y`` ``[n]``."""


class GatedOperator(ABC):
    """Base class of the sensing operators of a fused two-layer ReLU network, for CPUs and for GPUs.

    Parameters
    ----------
    features
        The inputs *feature by feature*, ``X^T``, shape ``[d, n]``, contiguous; a column of A is then a row of memory.
    gates
        The gate rule; dead neurons cost nothing.
    m
        Hidden width.
    signs
        Fixed output signs, ``[m]`` of +1 and -1, or None for all +1 (the paper).
    tile
        Largest number of neurons processed at a time; bounds the working memory and changes results only by rounding.
    """

    static: ClassVar[bool] = False

    def __init__(self, features: Tensor, gates: GateRule, m: int, signs: Tensor | None, tile: int) -> None:
        self._features, self._gates, self._m, self._signs, self._tile = features, gates, m, signs, tile

    @abstractmethod
    def columns(self, index: Tensor) -> SupportOperator:
        """Return the columns of the operator at ``index``; columns of dead neurons are zero."""

    @abstractmethod
    def descend(self, weights: SparseMatrix, y: Tensor) -> Descent:
        """Return residual and gradients at the weights; the tiles hold the live neurons."""

    @abstractmethod
    def masks(self, neurons: Tensor) -> Tensor:
        """Return ``1[X h_j > 0]`` of the given neurons (ascending), bool ``[len(neurons), n]``."""


def by_neuron(signs: Tensor | None, neurons: Tensor) -> Tensor | None:
    """Return the signs of the given neurons; padding past the last neuron gets any sign, since its weights are zero."""
    return None if signs is None else signs[neurons.clamp(max=len(signs) - 1)]


class MatrixColumns:
    """Columns that are stored one after the other in memory: ``A_S^T``, ``[|S|, n]``."""

    def __init__(self, columns: Tensor, signs: Tensor | None = None) -> None:
        self._columns, self._signs = columns, signs

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``."""
        signed = values if self._signs is None else values * self._signs
        return signed.to(self._columns.dtype) @ self._columns

    def quadratic(self, values: Tensor, y: Tensor, products: int) -> Quadratic:
        """Return the model of ``|A_S w - y|^2 / 2`` at ``values``."""
        return Quadratic(self.slopes(self.matvec(values) - y), self._normal)

    def slopes(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``, float64."""
        out = (self._columns @ residual).double()
        return out if self._signs is None else out * self._signs

    def _normal(self, values: Tensor) -> tuple[Tensor, Tensor]:
        image = self.matvec(values)
        return self.slopes(image), torch.linalg.vector_norm(image, dtype=torch.float64) ** 2


class DenseOperator:
    """A stored matrix ``A`` ``[n, N]``, such as Gaussian sensing; its weights are one row of ``N`` coordinates."""

    static: ClassVar[bool] = False

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix
        self._last: tuple[Tensor, MatrixColumns] | None = None

    def columns(self, index: Tensor) -> MatrixColumns:
        """Return the columns of the operator at ``index``; those of the last call are kept."""
        if self._last is None or not torch.equal(self._last[0], index):
            self._last = None  # frees the old columns before the new ones are made
            self._last = index, MatrixColumns(self._matrix.T[index])
        return self._last[1]

    def descend(self, weights: SparseMatrix, y: Tensor) -> Descent:
        """Return residual and gradients at the weights; there is one tile."""
        support = self.columns(weights.index)
        residual = support.matvec(weights.values) - y
        full = residual @ self._matrix
        tile = Tile(torch.zeros(1, dtype=torch.int64, device=residual.device), full[None, :])
        return Descent(support, residual, full[weights.index].double(), iter((tile,)))
