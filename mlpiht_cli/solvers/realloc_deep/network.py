"""Data of the search: two hidden layers with a direct part, and the samples that they are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc.tally import Tally

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Deep:
    """The network ``yhat = sum_k relu(v_k . h) + t . h`` of the first layer's activations ``h = relu(W x)``.

    The direct part ``t`` stands for all second-layer neurons of positive weights, whose sum it is. While it has any
    sign, those of the other second-layer neurons do not matter, for ``relu(z) = z + relu(-z)``; see
    :mod:`mlpiht_cli.solvers.realloc_deep.decode`. A weight is on the support where it is not zero.

    Attributes
    ----------
    first
        ``W``, float64 ``[h, d]``.
    second
        ``v``, float64 ``[q, h]``.
    direct
        ``t``, float64 ``[h]``.
    """

    first: Tensor
    second: Tensor
    direct: Tensor

    @classmethod
    def empty(cls, d: int, like: Tensor) -> Deep:
        """Return the network without neurons, for ``d`` inputs, on the device of ``like``."""
        zero = torch.zeros(0, dtype=torch.float64, device=like.device)
        return cls(zero.reshape(0, d), zero.reshape(0, 0), zero)

    @property
    def nnz(self) -> int:
        """Number of weights; those of the direct part count as those of one second-layer neuron."""
        return sum(int((part != 0).sum()) for part in (self.first, self.second, self.direct))

    @property
    def neurons(self) -> tuple[int, int]:
        """Neurons of the two layers; the direct part is one of the second, if there is any."""
        return len(self.first), len(self.second) + bool((self.direct != 0).any())

    def scaled(self) -> Deep:
        """Return the same function with a largest entry of 1 in every row of the first layer."""
        size = self.first.abs().amax(1) if len(self.first) else self.direct
        return Deep(self.first / size[:, None], self.second * size, self.direct * size)

    def tidied(self) -> Deep:
        """Return the same function without dead neurons, and with neurons of one sign as the direct part.

        A second-layer neuron of positive weights is their sum, and one of negative weights is 0.
        """
        live = (self.first != 0).any(1)
        second, direct = self.second * live, self.direct * live
        is_sum = (second >= 0.0).all(1)
        direct = direct + second[is_sum].sum(0)
        second = second[~is_sum & (second > 0.0).any(1)]
        used = (direct != 0) | (second != 0).any(0)
        return Deep(self.first[used], second[:, used], direct[used])

    def joined(self, other: Deep) -> Deep:
        """Return the sum of two networks."""
        q, h = self.second.shape
        second = self.second.new_zeros(q + other.second.shape[0], h + other.second.shape[1])
        second[:q, :h], second[q:, h:] = self.second, other.second
        return Deep(torch.cat([self.first, other.first]), second, torch.cat([self.direct, other.direct]))


class Layers(NamedTuple):
    """Activations of some samples: ``h`` ``[h, n]``, its derivative ``slope``, open second neurons ``[q, n]``, output.

    ``slope`` ``[h, n]`` is the derivative of the output in ``W x``.
    """

    hidden: Tensor
    slope: Tensor
    opened: Tensor
    output: Tensor


class Slopes(NamedTuple):
    """Derivatives of the output times a residual, summed over the samples, as if the support were full: float64."""

    first: Tensor
    second: Tensor
    direct: Tensor
    loss: float


@dataclass(frozen=True)
class DeepSamples:
    """Inputs feature by feature, ``[d, n]``, and targets ``[n]``; the tally counts what is gone over."""

    features: Tensor
    y: Tensor
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.y)

    def first(self, count: int) -> DeepSamples:
        """Return the first ``count`` samples."""
        return replace(self, features=self.features[:, :count], y=self.y[:count])

    def output(self, net: Deep, run: slice) -> Tensor:
        """Return the predictions for a run of samples."""
        w, v, t = (part.to(self.y.dtype) for part in (net.first, net.second, net.direct))
        hidden = (w @ self.features[:, run]).clamp_(min=0.0)
        return (v @ hidden).clamp_(min=0.0).sum(0) + t @ hidden

    def layers(self, net: Deep, run: slice) -> Layers:
        """Return the activations and derivatives for a run of samples."""
        w, v, t = (part.to(self.y.dtype) for part in (net.first, net.second, net.direct))
        hidden = (w @ self.features[:, run]).clamp_(min=0.0)
        inner = v @ hidden
        opened = (inner > 0).to(inner.dtype)
        slope = (v.T @ opened + t[:, None]) * (hidden > 0)
        return Layers(hidden, slope, opened, inner.clamp_(min=0.0).sum(0) + t @ hidden)

    def residual(self, net: Deep) -> Tensor:
        """Return the targets minus the predictions, ``[n]``."""
        self.tally.add(self.n)
        out = self.y.clone()
        for run in tiles(self.n):
            out[run] -= self.output(net, run)
        return out

    def loss(self, net: Deep) -> float:
        """Return the mean squared error, summed in float64."""
        return float(self.residual(net).double().square().mean())

    def slopes(self, net: Deep) -> Slopes:
        """Return the sums of derivatives times the residual."""
        self.tally.add(self.n)
        first, second, direct = (torch.zeros_like(part) for part in (net.first, net.second, net.direct))
        total = 0.0
        for run in tiles(self.n):
            at = self.layers(net, run)
            rest = self.y[run] - at.output
            first += (at.slope * rest) @ self.features[:, run].T
            weighted = at.hidden * rest
            second += at.opened @ weighted.T
            direct += weighted.sum(1)
            total += float(rest.double().square().sum())
        return Slopes(first, second, direct, total / self.n)
