"""Networks with several outputs and a free linear part, and the samples that they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc.tally import Tally

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Neurons:
    """The network ``yhat = sum_j a_j relu(u_j . x) + C^T x`` with ``a_j`` in R^k.

    While the linear part C is free, ``relu(z)`` and ``relu(-z)`` are the same to it, as with one output
    (:class:`mlpiht_cli.solvers.realloc.blocks.Blocks`). A neuron's scale can move between ``u_j`` and ``a_j``.

    Attributes
    ----------
    hidden
        Rows ``u_j``, float64 ``[b, d]``, zero outside ``support``.
    support
        bool ``[b, d]``.
    output
        Rows ``a_j``, float64 ``[b, k]``, zero outside ``used``.
    used
        bool ``[b, k]``.
    skip
        The linear part C, float64 ``[d, k]``; None in a finished network.
    """

    hidden: Tensor
    support: Tensor
    output: Tensor
    used: Tensor
    skip: Tensor | None = None

    @classmethod
    def of(cls, hidden: Tensor, output: Tensor, skip: Tensor | None = None) -> Neurons:
        """Return the network whose supports are the nonzeros."""
        return cls(hidden, hidden != 0, output, output != 0, skip)

    @property
    def nnz(self) -> int:
        """Number of weights on both supports."""
        return int(self.support.sum() + self.used.sum())

    @property
    def count(self) -> int:
        """Number of neurons."""
        return len(self.hidden)

    def kept(self, support: Tensor, used: Tensor) -> Neurons:
        """Return the network on parts of its supports, without neurons that lack inputs or outputs."""
        live = support.any(1) & used.any(1)
        hidden = torch.where(support, self.hidden, 0.0)[live]
        return Neurons(hidden, support[live], torch.where(used, self.output, 0.0)[live], used[live], self.skip)

    def taken(self, places: Tensor) -> Neurons:
        """Return the network of some neurons."""
        hidden, support, output, used = (part[places] for part in self._rows)
        return Neurons(hidden, support, output, used, self.skip)

    @property
    def _rows(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.hidden, self.support, self.output, self.used

    def joined(self, other: Neurons) -> Neurons:
        """Return the network with the neurons of another added; the linear part of the other is ignored."""
        hidden, support, output, used = (torch.cat(pair) for pair in zip(self._rows, other._rows, strict=True))
        return Neurons(hidden, support, output, used, self.skip)

    def sizes(self) -> Tensor:
        """Return ``|u_j| |a_j|``, ``[b]``."""
        out: Tensor = self.hidden.norm(dim=1) * self.output.norm(dim=1)
        return out

    def scaled(self) -> Neurons:
        """Return the same network with a largest entry of +1 or -1 in every row ``u_j``."""
        size = self.hidden.abs().amax(1, keepdim=True).clamp(min=1e-300)
        return replace(self, hidden=self.hidden / size, output=self.output * size)

    def pivots(self) -> Tensor:
        """Return the place of the largest entry of every row ``u_j``, bool ``[b, d]``."""
        out = torch.zeros_like(self.support)
        out[torch.arange(self.count), self.hidden.abs().argmax(1)] = True
        return out & self.support


class Sums(NamedTuple):
    """Sums over all samples at a network.

    Attributes
    ----------
    hidden, output, linear
        Half of the falls of the weighted squared error per unit of ``u``, ``a`` and C: float64 ``[b, d]``, ``[b, k]``
        and ``[d, k]``.
    losses
        Mean squared error of every output, float64 ``[k]``.
    """

    hidden: Tensor
    output: Tensor
    linear: Tensor
    losses: Tensor


@dataclass(frozen=True)
class VectorSamples:
    """Inputs feature by feature, ``[d, n]``, and targets output by output, ``[k, n]``; both contiguous.

    The tally counts the samples that were gone over.
    """

    features: Tensor
    y: Tensor
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.y.shape[1]

    def double(self) -> VectorSamples:
        """Return the samples in float64."""
        return VectorSamples(self.features.double(), self.y.double(), self.tally)

    def residual(self, at: Neurons) -> Tensor:
        """Return the targets minus the predictions, ``[k, n]``."""
        self.tally.add(self.n)
        out = self.y.clone()
        u, a = at.hidden.to(self.y.dtype), at.output.T.to(self.y.dtype)
        for run in tiles(self.n):
            x = self.features[:, run]
            out[:, run] -= a @ (u @ x).clamp_(min=0.0)
            if at.skip is not None:
                out[:, run] -= at.skip.T.to(x.dtype) @ x
        return out

    def losses(self, at: Neurons) -> Tensor:
        """Return the mean squared error of every output, float64 ``[k]``."""
        return self.residual(at).double().square().mean(1)

    def sums(self, at: Neurons, weight: Tensor) -> Sums:
        """Return gradients and losses; ``weight`` ``[k]`` weighs the squared errors of the outputs."""
        self.tally.add(self.n)
        dtype = self.y.dtype
        u, a, scale = at.hidden.to(dtype), at.output.to(dtype), weight.to(dtype)
        hidden, output = torch.zeros_like(at.hidden), torch.zeros_like(at.output)
        linear = hidden.new_zeros(len(self.features), len(self.y))
        losses = torch.zeros_like(weight)
        skip = None if at.skip is None else at.skip.T.to(dtype)
        for run in tiles(self.n):
            x = self.features[:, run]
            active = (u @ x).clamp_(min=0.0)
            r = self.y[:, run] - a.T @ active
            if skip is not None:
                r -= skip @ x
            losses += r.double().square().sum(1)
            r *= scale[:, None]
            output += active @ r.T
            hidden += ((a @ r) * (active > 0)) @ x.T
            if skip is not None:
                linear += x @ r.T
        return Sums(hidden, output, linear, losses / self.n)
