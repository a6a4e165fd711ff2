"""Products of a one-hidden-layer network with several outputs on one batch, a tile of neurons at a time.

``yhat = sum_j 1[X h_j > 0] (X w1_j) w2_j^T`` (P1, section 3). The weights of a network are two sparse matrices, hidden
``[m, d]`` and output ``[m, k]``, both row by row: a row belongs to a neuron. Predictions and residuals are stored
output by output, ``[k, b]``, as inputs are stored feature by feature.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mlpiht_cli.linalg.gates import TILE
from mlpiht_cli.linalg.operators import GatedOperator
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor


class Neurons(NamedTuple):
    """A tile: neurons ``ids`` (int64 ascending ``[t]``) with hidden weights ``[t, d]`` and output weights ``[t, k]``.

    ``revived``: the weights may not be those of the network before the step, because empty blocks are restarted.
    """

    ids: Tensor
    hidden: Tensor
    output: Tensor
    revived: bool = False

    def take(self, places: Tensor) -> Neurons:
        """Return the neurons at some places of the tile."""
        return self._replace(ids=self.ids[places], hidden=self.hidden[places], output=self.output[places])


@dataclass(frozen=True)
class Weights:
    """The weights of a network: hidden ``[m, d]`` and output ``[m, k]``, both without stored zeros."""

    hidden: SparseMatrix
    output: SparseMatrix

    @property
    def parts(self) -> tuple[SparseMatrix, SparseMatrix]:
        """Hidden and output weights."""
        return self.hidden, self.output

    @cached_property
    def used(self) -> Tensor:
        """Neurons with a weight, int64 ascending."""
        rows = np.concatenate([part.index.cpu().numpy() // part.cols for part in self.parts])
        rows.sort()
        is_first = np.ones(len(rows), bool)
        np.not_equal(rows[1:], rows[:-1], out=is_first[1:])
        return torch.from_numpy(rows[is_first]).to(self.hidden.index.device)

    def tiles(self) -> Iterable[Neurons]:
        """Return the neurons with a weight, a tile at a time; if there is only one tile, it is made once."""
        return self._only if len(self.used) <= TILE else (self.of(ids) for ids in torch.split(self.used, TILE))

    def of(self, ids: Tensor) -> Neurons:
        """Return the weights of the neurons ``ids`` (ascending)."""
        return Neurons(ids, self.hidden.dense_rows(ids), self.output.dense_rows(ids))

    @cached_property
    def _only(self) -> Sequence[Neurons]:
        ids = self.used
        return [Neurons(ids, self.hidden.packed_rows(ids), self.output.packed_rows(ids))] if len(ids) else []


class VectorProducts:
    """Products in torch, with the masks of an operator: for GPUs, and to check the compiled ones.

    Parameters
    ----------
    features
        Inputs of the batch *feature by feature*, ``[d, b]``, contiguous.
    operator
        The sensing operator of the batch; its masks are those of the gates.
    """

    def __init__(self, features: Tensor, operator: GatedOperator) -> None:
        self._features, self._operator = features, operator

    def predict(self, weights: Weights) -> Tensor:
        """Return the predictions of the network, ``[k, b]``."""
        out = self._features.new_zeros(weights.output.cols, self._features.shape[1])
        for tile in weights.tiles():
            out += tile.output.T @ ((tile.hidden @ self._features) * self._operator.masks(tile.ids))
        return out

    def slopes(self, tile: Neurons, residual: Tensor) -> Tensor:
        """Return the gradients of the hidden and output weights of a tile at fixed gates, float64 ``[t, d + k]``.

        With ``P_j = (D_j X)^T R`` the protocol's formulas are ``grad w1_j = P_j w2_j`` and ``grad w2_j = P_j^T w1_j``.
        They are computed as ``X^T (mask_j * (R w2_j))`` and ``z_j^T R`` with the activations ``z_j``, without a
        ``d x k`` block.

        Parameters
        ----------
        tile
            The neurons, with the weights that the gradients are taken at.
        residual
            Gradient of the loss with respect to the predictions, ``R^T``, ``[k, b]``.
        """
        masks = self._operator.masks(tile.ids)
        back = (tile.output @ residual) * masks
        active = (tile.hidden @ self._features) * masks
        return torch.cat([back @ self._features.T, active @ residual.T], dim=1).double()

    def along(self, tile: Neurons, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what a tile adds to the predictions along a ray at fixed gates, ``yhat(mu) = p + mu a + mu^2 b``.

        Parameters
        ----------
        tile
            The neurons, with the weights that the ray starts from.
        slopes
            Directions of the hidden and the output weights, ``[t, d + k]``.

        Returns
        -------
        tuple of Tensor
            ``p``, ``a`` and ``b``, ``[k, b]`` each.
        """
        hidden, output = slopes.to(self._features.dtype).split([len(self._features), tile.output.shape[1]], dim=1)
        masks = self._operator.masks(tile.ids)
        start, moved = ((weights @ self._features) * masks for weights in (tile.hidden, hidden))
        return tile.output.T @ start, output.T @ start + tile.output.T @ moved, output.T @ moved
