"""Data of the search: live blocks with a free linear part, and the samples that they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.linalg.gated import compiled
from mlpiht_cli.linalg.moments import gram, tiles
from mlpiht_cli.solvers.realloc.tally import Tally

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.linalg.compiled_relu import ReluProducts, Rows


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

    def rows(self, dtype: torch.dtype) -> Rows:
        """Return the weights on the support row by row, and the skip connection as a last row, for compiled kernels."""
        from mlpiht_cli.linalg.compiled_relu import Rows

        row, col = self.support.numpy().nonzero()
        start = np.searchsorted(row, np.arange(len(self.weights) + 1))
        values = self.weights[self.support]
        sign = torch.ones_like(self.weights[:, 0]) if self.outputs is None else self.outputs
        if self.skip is not None:
            start, col = np.append(start, start[-1] + len(self.skip)), np.append(col, np.arange(len(self.skip)))
            values, sign = torch.cat([values, self.skip]), torch.cat([sign, sign.new_zeros(1)])
        return Rows(start, col, values.to(dtype).numpy(), sign.to(dtype).numpy())

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
    """Inputs feature by feature, ``[d, n]``, and targets ``[n]``.

    Products are compiled on CPUs and in torch on GPUs. ``A`` is the derivative of the predictions in the support's
    entries, row by row, and in the skip connection.

    Attributes
    ----------
    coarse
        The same samples in float32 if these are in float64 for their residuals alone: columns are those of ``coarse``.
    tally
        Counts the samples that were gone over.
    """

    features: Tensor
    y: Tensor
    coarse: Samples | None = None
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)

    @cached_property
    def double(self) -> Samples:
        """The samples in float64, with the columns of these: Newton steps with small errors that no residual has."""
        if self.y.dtype == torch.float64:
            return self
        return Samples(self.features.double(), self.y.double(), self, self.tally)

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.y)

    @cached_property
    def _products(self) -> ReluProducts | None:
        """Compiled products, if they run on the device of the samples."""
        if not compiled(self.y.device):
            return None
        from mlpiht_cli.linalg.compiled_relu import ReluProducts  # loads numba

        return ReluProducts(self.features.numpy(), self.y.numpy())

    def residual(self, blocks: Blocks) -> Tensor:
        """Return the targets minus the predictions, ``[n]``."""
        self.tally.add(self.n)
        if self._products is not None:
            return torch.from_numpy(self._products.residual(blocks.rows(self.y.dtype)))
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

    def gradient(self, blocks: Blocks) -> tuple[Tensor, float]:
        """Return ``A^T r`` for the residual r, float64 ``[k]``, and the mean squared error."""
        if self._products is not None:
            self.tally.add(self.n)
            sums, total = self._products.gradient(blocks.rows(self.y.dtype))
            return torch.from_numpy(sums), total / self.n
        residual = self.residual(blocks)
        found = self._slopes(blocks, residual)[blocks.support]
        if blocks.skip is not None:
            linear = torch.zeros_like(blocks.skip)
            for run in tiles(self.n):
                linear += self.features[:, run] @ residual[run]
            found = torch.cat([found, linear])
        return found, float(residual.double().square().mean())

    def slopes(self, blocks: Blocks, residual: Tensor) -> Tensor:
        """Return ``A^T residual`` as if the support were full, float64 ``[b, d]``."""
        self.tally.add(self.n)
        return self._slopes(blocks, residual)

    def _slopes(self, blocks: Blocks, residual: Tensor) -> Tensor:
        w, out = blocks.weights.to(self.y.dtype), torch.zeros_like(blocks.weights)
        for run in tiles(self.n):
            x = self.features[:, run]
            out += (blocks.masked((w @ x > 0).to(x.dtype)) * residual[run]) @ x.T
        return out

    def columns(self, blocks: Blocks, run: slice) -> Tensor:
        """Return ``A^T`` for a run of samples, ``[k, samples]``."""
        if self.coarse is not None:
            return self.coarse.columns(blocks, run)
        if self._products is not None:
            return torch.from_numpy(self._products.columns(blocks.rows(self.y.dtype), run))
        x = self.features[:, run]
        row, col = blocks.support.nonzero(as_tuple=True)
        mask = blocks.masked((blocks.weights.to(x.dtype) @ x > 0).to(x.dtype))
        out = x[col] * mask[row]
        return out if blocks.skip is None else torch.cat([out, x])


def linear_fit(samples: Samples) -> Tensor:
    """Return the best linear fit to the centred targets, float64 ``[d]``; slightly damped for dependent inputs."""
    x = samples.features
    total = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for run in tiles(samples.n):
        total += gram(x[:, run])
    right = (x @ (samples.y - samples.y.mean())).double()
    total.diagonal().add_(1e-9 * total.diagonal().mean() + 1e-30)
    found: Tensor = torch.linalg.solve(total, right)
    return found
