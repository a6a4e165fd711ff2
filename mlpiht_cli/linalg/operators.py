"""Sensing operators: the linear map A of the convexified network, applied without forming it.

For gates ``h`` the fused two-layer network is linear in its weights,

    yhat = sum_j sign_j * 1[X h_j > 0] * (X w_j) = A w,   A = [sign_1 D_1 X, ..., sign_m D_m X]   (P1, section 3),

an ``n x (m d)`` matrix that is never formed. The indicator is strict, so a zero gate is a dead neuron.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import torch

from mlpiht_cli.linalg.gates import GateRule

if TYPE_CHECKING:
    from torch import Tensor


class Tile(NamedTuple):
    """Part of a coordinate vector: the neurons ``rows`` (int64 ``[t]``) and their ``values`` ``[t, d]``."""

    rows: Tensor
    values: Tensor


class SupportOperator(Protocol):
    """The columns A_S of a sensing operator. Sums over samples come back in float64."""

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``, in the dtype of the data."""

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``."""

    def normal(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``A_S^T A_S values`` and ``|A_S values|^2``, ``[|S|] -> [|S|], []``."""


class SensingOperator(Protocol):
    """A linear map from weights ``[rows, cols]`` to predictions ``[n]``, known by its action."""

    @property
    def static(self) -> bool:
        """Whether shapes may not depend on values; coordinates from ``rows * cols`` on then stand for none."""

    def columns(self, index: Tensor) -> SupportOperator:
        """Restrict to the coordinates ``index`` (int64 ascending, ``row * cols + col``)."""

    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``A^T residual`` in tiles of ascending neurons; neurons that are left out have zeros."""


class GatedOperator(ABC):
    """The sensing operator of a fused two-layer ReLU network: what its forms for processors and GPUs share.

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

    static: ClassVar[bool] = False

    def __init__(self, features: Tensor, gates: GateRule, m: int, signs: Tensor | None, tile: int) -> None:
        self._features, self._gates, self._m, self._signs, self._tile = features, gates, m, signs, tile

    @abstractmethod
    def columns(self, index: Tensor) -> SupportOperator:
        """Restrict to the coordinates ``index``; coordinates of dead neurons are zero columns."""

    @abstractmethod
    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``X^T D_j residual`` for the live neurons, a tile at a time."""

    @abstractmethod
    def masks(self, neurons: Tensor) -> Tensor:
        """Return ``1[X h_j > 0]`` of the given neurons (ascending), bool ``[len(neurons), n]``."""


def by_neuron(signs: Tensor | None, neurons: Tensor) -> Tensor | None:
    """Signs of the given neurons, those past the last one included, whose weights are zero anyhow."""
    return None if signs is None else signs[neurons.clamp(max=len(signs) - 1)]


class MatrixColumns:
    """Columns that are there, one after the other in memory: ``A_S^T``, ``[|S|, n]``."""

    def __init__(self, columns: Tensor, signs: Tensor | None = None) -> None:
        self._columns, self._signs = columns, signs

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S values``, ``[|S|] -> [n]``."""
        signed = values if self._signs is None else values * self._signs
        return signed.to(self._columns.dtype) @ self._columns

    def rmatvec(self, residual: Tensor) -> Tensor:
        """Return ``A_S^T residual``, ``[n] -> [|S|]``."""
        out = (self._columns @ residual).double()
        return out if self._signs is None else out * self._signs

    def normal(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``A_S^T A_S values`` and ``|A_S values|^2``."""
        image = self.matvec(values)
        return self.rmatvec(image), torch.linalg.vector_norm(image, dtype=torch.float64) ** 2


class DenseOperator:
    """A matrix that is there, such as Gaussian sensing: ``A`` of shape ``[n, N]`` as one row of ``N`` coordinates."""

    static: ClassVar[bool] = False

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix

    def columns(self, index: Tensor) -> MatrixColumns:
        """Restrict to the coordinates ``index``."""
        return MatrixColumns(self._matrix.T[index])

    def rmatvec(self, residual: Tensor) -> Iterator[Tile]:
        """Yield ``A^T residual`` in one tile."""
        yield Tile(torch.zeros(1, dtype=torch.int64, device=residual.device), (residual @ self._matrix)[None, :])
