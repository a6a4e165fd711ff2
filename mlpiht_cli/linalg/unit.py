"""A gated operator whose columns are scaled to unit norm, as P1's analysis has it (Lemma 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.gates import TILE, GateRule
from mlpiht_cli.linalg.operators import Descent, GatedOperator, Quadratic, SupportOperator, Tile
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor


class UnitOperator:
    """``A diag(scale)`` of a gated operator ``A``: its weights ``v`` stand for the network's weights ``scale v``.

    Parameters
    ----------
    operator
        The gated operator of ``rows`` neurons.
    scale
        Factor of each column, ``[rows * d]`` float64: one over its norm, and 0 for columns that are zero.
    """

    def __init__(self, operator: GatedOperator, scale: Tensor) -> None:
        self._operator, self.scale = operator, scale

    @property
    def static(self) -> bool:
        """Whether shapes must not depend on values."""
        return self._operator.static

    def unscaled(self, weights: SparseMatrix) -> SparseMatrix:
        """Return the network's weights."""
        values = weights.values * self._at(weights.index).to(weights.values.dtype)
        return SparseMatrix(weights.index, values, weights.rows, weights.cols)

    def columns(self, index: Tensor) -> SupportOperator:
        """Return the unit columns at ``index`` (int64 ascending)."""
        return _ScaledColumns(self._operator.columns(index), self._at(index))

    def descend(self, weights: SparseMatrix, y: Tensor) -> Descent:
        """Return residual and gradients at the weights; see SensingOperator."""
        found = self._operator.descend(self.unscaled(weights), y)
        scale = self._at(weights.index)
        return Descent(
            _ScaledColumns(found.support, scale), found.residual, found.gradient * scale, self._scaled(found.tiles)
        )

    def _scaled(self, tiles: Iterator[Tile]) -> Iterator[Tile]:
        for rows, values in tiles:
            scale = self.scale.reshape(-1, values.shape[1])
            yield Tile(rows, values * scale[rows.clamp(max=len(scale) - 1)])

    def _at(self, index: Tensor) -> Tensor:
        """Scale at coordinates; padding past the last one gets any."""
        return self.scale[index.clamp(max=len(self.scale) - 1)]


class _ScaledColumns:
    """Columns of an operator times fixed factors ``[|S|]``."""

    def __init__(self, columns: SupportOperator, scale: Tensor) -> None:
        self._columns, self._scale = columns, scale

    def matvec(self, values: Tensor) -> Tensor:
        """Return ``A_S (scale values)``, ``[|S|] -> [n]``."""
        return self._columns.matvec(values * self._scale)

    def quadratic(self, values: Tensor, y: Tensor, products: int) -> Quadratic:
        """Return the model at ``values``."""
        inner = self._columns.quadratic((values * self._scale).to(values.dtype), y, products)

        def normal(v: Tensor) -> tuple[Tensor, Tensor]:
            change, curvature = inner.normal(v * self._scale)
            return change * self._scale, curvature

        gram = None if inner.gram is None else inner.gram * self._scale[:, None] * self._scale
        return Quadratic(inner.gradient * self._scale, normal, gram)


def unit_scale(features: Tensor, operator: GatedOperator, gates: GateRule, m: int) -> Tensor:
    """Return one over the norm of each column of a gated operator, float64 ``[m * d]``; 0 for columns that are zero.

    Parameters
    ----------
    features
        Inputs feature by feature, ``[d, n]``.
    operator, gates, m
        The operator of these features, its gate rule and its number of neurons.
    """
    squares = features.double().square().T
    norms = features.new_zeros(m, len(features), dtype=torch.float64)
    for rows in gates.tiles(TILE):
        there = rows[rows < m]
        norms[there] = operator.masks(there).double() @ squares
    scale = norms.flatten().sqrt()
    return torch.where(scale > 0, 1.0 / torch.where(scale > 0, scale, 1.0), 0.0)
