"""The least-squares problem of a network with fixed gates: its operator, its spectrum, and fits on one support."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.gated import gated_operator
from mlpiht_cli.linalg.gates import GateRule
from mlpiht_cli.linalg.operators import GatedOperator
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.unit import UnitOperator, unit_scale
from mlpiht_cli.theory.law import least_squares

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

MOST = 2400
"""Largest number of columns whose Gram matrix is made for its whole spectrum."""
_TILE = 2**24
"""Largest number of entries of columns in memory at a time."""
_REPEATS = 3
"""Solutions of the normal equations: the first, and for the residual of each but the last."""


@dataclass(frozen=True)
class Convex:
    """``|A v - y|^2`` for gates that do not move.

    Attributes
    ----------
    features, y
        Inputs feature by feature ``[d, n]``, and targets ``[n]``.
    rule, rows
        The gates of ``rows`` neurons.
    signs
        Output signs ``[rows]``; None for all +1.
    normalise
        Whether columns are scaled to unit norm; else ``v`` are the network's weights.
    """

    features: Tensor
    y: Tensor
    rule: GateRule
    rows: int
    signs: Tensor | None
    normalise: bool

    @cached_property
    def _plain(self) -> GatedOperator:
        return gated_operator(self.features, self.rule, self.rows, self.signs)

    @cached_property
    def operator(self) -> UnitOperator:
        """The operator ``A``."""
        scale = unit_scale(self.features, self._plain, self.rule, self.rows)
        return UnitOperator(self._plain, scale if self.normalise else (scale > 0).double())

    @property
    def zeros(self) -> SparseMatrix:
        """Weights that are all zero."""
        return SparseMatrix.zeros(self.rows, len(self.features), self.features)

    @cached_property
    def used(self) -> Tensor:
        """Columns that are not zero, int64 ascending."""
        return torch.nonzero(self.operator.scale).flatten()

    @cached_property
    def spectrum(self) -> tuple[float, float]:
        """Least and largest eigenvalue of ``A^T A``; the least is 0 where there are too many columns to tell."""
        if len(self.used) <= MOST:
            values = np.linalg.eigvalsh(self.normal_equations(self.used)[0])
            return max(0.0, float(values[0])), float(values[-1])
        return 0.0, self._largest()

    def _largest(self) -> float:
        from scipy.sparse.linalg import LinearOperator, eigsh

        size, nothing = self.rows * len(self.features), torch.zeros_like(self.y)

        def apply(vector: Array) -> Array:
            weights = SparseMatrix.from_dense(torch.from_numpy(vector).reshape(self.rows, -1).to(self.y))
            out = np.zeros((self.rows, len(self.features)))
            for rows, values in self.operator.descend(weights, nothing).tiles:
                there = rows < self.rows
                out[rows[there].cpu().numpy()] = values[there].double().cpu().numpy()
            return out.ravel()

        start = (self.operator.scale > 0).double().cpu().numpy()
        product = LinearOperator((size, size), matvec=apply, dtype=np.float64)
        return float(eigsh(product, k=1, which="LA", v0=start, tol=1e-6, return_eigenvectors=False)[0])

    def normal_equations(self, index: Tensor) -> tuple[Array, Array]:
        """Return ``A_S^T A_S`` ``[K, K]`` and ``A_S^T y`` ``[K]`` of the columns ``index``, float64."""
        gram, targets = np.zeros((len(index), len(index))), np.zeros(len(index))
        for columns, y in self._columns(index):
            gram += columns @ columns.T
            targets += columns @ y
        return gram, targets

    def _columns(self, index: Tensor) -> Iterator[tuple[Array, Array]]:
        """Yield columns ``[K, b]`` and targets ``[b]`` of some samples at a time."""
        neuron, feature = index // len(self.features), index % len(self.features)
        live, place = torch.unique(neuron, return_inverse=True)
        masks = self._plain.masks(live)
        scale = self.operator.scale[index] if self.signs is None else self.operator.scale[index] * self.signs[neuron]
        step = max(1, _TILE // max(1, len(index)))
        for start in range(0, len(self.y), step):
            span = slice(start, start + step)
            columns = self.features[feature, span].double() * masks[place, span] * scale[:, None]
            yield columns.cpu().numpy(), self.y[span].double().cpu().numpy()

    def solve(self, index: Tensor) -> tuple[SparseMatrix, float]:
        """Return the least-squares weights on the support ``index``, and their loss ``|A v - y|^2``.

        The normal equations are solved again for the residual, which is computed in full, so that their rounding errors
        do not stay.
        """
        if not len(index):
            return self.zeros, float(self.y.double().square().sum())
        gram, targets = self.normal_equations(index)
        values = least_squares(gram, targets)
        for _ in range(_REPEATS):
            slope, loss = np.zeros_like(targets), 0.0
            for columns, y in self._columns(index):
                residual = y - values @ columns
                slope += columns @ residual
                loss += float(residual @ residual)
            values = values + least_squares(gram, slope)
        found = torch.from_numpy(values).to(index.device)
        return SparseMatrix(index, found, self.rows, len(self.features)), loss
