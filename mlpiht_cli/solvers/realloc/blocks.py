"""Data of the search: live blocks with a free linear part, and the samples that they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import tiles

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Blocks:
    """The network ``yhat = sum_j sigma_j relu(w_j . x) + c . x``: its live neurons and a skip connection.

    ``relu(z) = z / 2 + |z| / 2``, so the even part of a network does not depend on the signs of its neurons. While the
    skip connection is free, a neuron of the wrong sign costs nothing; see :mod:`mlpiht_cli.solvers.realloc.decode`.

    Attributes
    ----------
    weights
        float64 ``[b, d]``, zero outside the support.
    support
        bool ``[b, d]``.
    skip
        float64 ``[d]``; None in a finished network.
    outputs
        Output signs, float64 ``[b]`` of +1 and -1; None if all signs are fixed to +1.
    """

    weights: Tensor
    support: Tensor
    skip: Tensor | None = None
    outputs: Tensor | None = None

    @property
    def nnz(self) -> int:
        """Number of weights on the support, including weights that happen to be zero."""
        return int(self.support.sum())

    @property
    def slopes(self) -> Tensor:
        """Weights times output signs, ``[b, d]``: a neuron adds its row to the skip connection when it is flipped."""
        return self.weights if self.outputs is None else self.weights * self.outputs[:, None]

    def summed(self, active: Tensor) -> Tensor:
        """Return the output ``[n]`` for activations ``[b, n]`` of the blocks."""
        return active.sum(0) if self.outputs is None else self.outputs.to(active.dtype) @ active

    def masked(self, mask: Tensor) -> Tensor:
        """Return the derivative ``[b, n]`` of the output in ``w_j . x``; ``mask`` ``[b, n]`` says which are open."""
        return mask if self.outputs is None else mask * self.outputs.to(mask.dtype)[:, None]

    def joined(self, other: Blocks) -> Blocks:
        """Return the network with the blocks of another added; the skip connection of the other is ignored."""
        outputs = None
        if self.outputs is not None and other.outputs is not None:
            outputs = torch.cat([self.outputs, other.outputs])
        support = torch.cat([self.support, other.support])
        return Blocks(torch.cat([self.weights, other.weights]), support, self.skip, outputs)

    def first(self, count: int) -> Blocks:
        """Return the network of the first ``count`` blocks."""
        outputs = None if self.outputs is None else self.outputs[:count]
        return Blocks(self.weights[:count], self.support[:count], self.skip, outputs)

    def kept(self, keep: Tensor) -> Blocks:
        """Return the network on the part ``keep`` (bool ``[b, d]``) of its support, without empty blocks."""
        live = keep.any(1)
        outputs = None if self.outputs is None else self.outputs[live]
        return Blocks(torch.where(keep, self.weights, 0.0)[live], keep[live], self.skip, outputs)

    def moved(self, step: Tensor) -> Blocks:
        """Return the network after a step; ``step`` has the support's entries row by row, then the skip connection."""
        count = self.nnz
        weights = self.weights.clone()
        weights[self.support] += step[:count]
        return replace(self, weights=weights, skip=None if self.skip is None else self.skip + step[count:])


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
        """Return the targets minus the predictions, ``[n]``."""
        w = blocks.weights.to(self.y.dtype)
        out = self.y.clone()
        for run in tiles(self.n):
            out[run] -= blocks.summed((w @ self.features[:, run]).clamp_(min=0.0))
            if blocks.skip is not None:
                out[run] -= blocks.skip.to(self.y.dtype) @ self.features[:, run]
        return out

    def loss(self, blocks: Blocks) -> float:
        """Return the mean squared error, summed in float64."""
        return float(self.residual(blocks).double().square().mean())


def linear_fit(samples: Samples) -> Tensor:
    """Return the best linear fit to the centred targets, float64 ``[d]``; slightly damped for dependent inputs."""
    x = samples.features
    gram = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for run in tiles(samples.n):
        gram += x[:, run] @ x[:, run].T
    right = (x @ (samples.y - samples.y.mean())).double()
    gram.diagonal().add_(1e-9 * gram.diagonal().mean() + 1e-30)
    found: Tensor = torch.linalg.solve(gram, right)
    return found
