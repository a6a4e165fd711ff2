"""What the search works on: live blocks with a free linear part, and the samples that they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import tiles

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Blocks:
    """The network ``yhat = sum_j relu(w_j . x) + c . x``: its live neurons and a skip connection.

    ``relu(z) = z / 2 + |z| / 2``, so the even part of a network does not know the signs of its neurons. While the skip
    connection is free, a neuron of the wrong sign costs nothing; see :mod:`mlpiht_cli.solvers.realloc.decode`.

    Attributes
    ----------
    weights
        float64 ``[b, d]``, zero outside the support.
    support
        bool ``[b, d]``.
    skip
        float64 ``[d]``; None in a finished network.
    """

    weights: Tensor
    support: Tensor
    skip: Tensor | None = None

    @property
    def nnz(self) -> int:
        """Weights of the blocks, those that happen to be zero included."""
        return int(self.support.sum())

    def joined(self, weights: Tensor, support: Tensor) -> Blocks:
        """Return the network with further blocks."""
        return Blocks(torch.cat([self.weights, weights]), torch.cat([self.support, support]), self.skip)

    def kept(self, keep: Tensor) -> Blocks:
        """Return the network on the part ``keep`` (bool ``[b, d]``) of its support, without blocks that are empty."""
        live = keep.any(1)
        return Blocks(torch.where(keep, self.weights, 0.0)[live], keep[live], self.skip)

    def moved(self, step: Tensor) -> Blocks:
        """Return the network after a step in the support's entries, row by row, and then the skip connection."""
        count = self.nnz
        weights = self.weights.clone()
        weights[self.support] += step[:count]
        return Blocks(weights, self.support, None if self.skip is None else self.skip + step[count:])


@dataclass(frozen=True)
class Samples:
    """Inputs feature by feature, ``[d, n]``, and targets ``[n]``."""

    features: Tensor
    y: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.y)

    def residual(self, blocks: Blocks) -> Tensor:
        """Targets less predictions, ``[n]``."""
        w = blocks.weights.to(self.y.dtype)
        out = self.y.clone()
        for run in tiles(self.n):
            out[run] -= (w @ self.features[:, run]).clamp_(min=0.0).sum(0)
            if blocks.skip is not None:
                out[run] -= blocks.skip.to(self.y.dtype) @ self.features[:, run]
        return out

    def loss(self, blocks: Blocks) -> float:
        """Mean squared error, summed in float64."""
        return float(self.residual(blocks).double().square().mean())


def linear_fit(samples: Samples) -> Tensor:
    """Best linear prediction of the centred targets, float64 ``[d]``; slightly damped, as inputs may be dependent."""
    x = samples.features
    gram = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for run in tiles(samples.n):
        gram += x[:, run] @ x[:, run].T
    right = (x @ (samples.y - samples.y.mean())).double()
    gram.diagonal().add_(1e-9 * gram.diagonal().mean() + 1e-30)
    found: Tensor = torch.linalg.solve(gram, right)
    return found
