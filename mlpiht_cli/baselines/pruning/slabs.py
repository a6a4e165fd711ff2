"""Spike-and-slab distributions of weights, and their divergence from a prior of that form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Block(NamedTuple):
    """Variational parameters of a layer, ``q(w) = pi N(mean, sd^2) + (1 - pi) delta_0``; or derivatives for them.

    Attributes
    ----------
    logit
        Log-odds of the inclusion ``pi``: ``[out, in]``, or ``[out, 1]`` where neurons are included as a whole.
    mean, log_sd
        Mean and logarithm of the standard deviation of each weight that is included, ``[out, in]``.
    """

    logit: Tensor
    mean: Tensor
    log_sd: Tensor

    @property
    def inclusion(self) -> Tensor:
        """Probability that each weight is not 0, ``[out, in]``."""
        return torch.sigmoid(self.logit).expand_as(self.mean)


class Prior(NamedTuple):
    """Probability of a weight or neuron not to be 0, and standard deviation of the weights that are not."""

    inclusion: float
    sd: float

    @property
    def odds(self) -> float:
        """Log-odds of the inclusion."""
        return math.log(self.inclusion) - math.log1p(-self.inclusion)


def gaussian_slab(q: Block, sd: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``KL(N(mean, sd_q^2) || N(0, sd^2))`` of each weight, and its derivatives for mean and log_sd."""
    variance = (2.0 * q.log_sd).exp()
    value = (variance + q.mean.square()) * (0.5 / sd**2) - q.log_sd + (math.log(sd) - 0.5)
    return value, q.mean / sd**2, variance / sd**2 - 1.0


def group_slab(q: Block, sd: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the divergence of neurons ``[out, 1]`` from the slab ``exp(-rate |w|_2)``; see :func:`gaussian_slab`.

    This prior is a normal one of random scale, and the scale has the best density that does not depend on ``w``. So
    the divergence is that for the mean of ``|w|_2`` replaced by the root of the mean of its square, which is larger.
    The rate gives each weight the variance ``sd^2``.
    """
    size = q.mean.shape[1]
    rate = math.sqrt(size + 1.0) / sd
    surface = math.log(2.0) + 0.5 * size * math.log(math.pi) - math.lgamma(0.5 * size)
    shift = surface + math.lgamma(size) - size * math.log(rate) - 0.5 * size * math.log(2.0 * math.pi * math.e)
    variance = (2.0 * q.log_sd).exp()
    radius = (q.mean.square() + variance).sum(dim=1, keepdim=True).sqrt()
    value = rate * radius - q.log_sd.sum(dim=1, keepdim=True) + shift
    return value, rate / radius * q.mean, rate / radius * variance - 1.0


def _slab(q: Block, prior: Prior) -> tuple[Tensor, Tensor, Tensor]:
    return (gaussian_slab if q.logit.shape == q.mean.shape else group_slab)(q, prior.sd)


def divergence(q: Block, prior: Prior) -> Tensor:
    """Return ``KL(q || prior)`` in nats of each weight, or of each neuron that is included as a whole.

    ``pi log(pi / p) + (1 - pi) log((1 - pi) / (1 - p)) + pi KL(slabs)`` (Bai et al., 2020).
    """
    slab, _, _ = _slab(q, prior)
    spike = torch.nn.functional.softplus(q.logit) + math.log1p(-prior.inclusion)  # -log((1 - pi) / (1 - p))
    return torch.sigmoid(q.logit) * (q.logit - prior.odds + slab) - spike


def slopes(q: Block, prior: Prior) -> Block:
    """Return the derivatives of the sum of :func:`divergence`."""
    slab, of_mean, of_log_sd = _slab(q, prior)
    pi = torch.sigmoid(q.logit)
    return Block(pi * (1.0 - pi) * (q.logit - prior.odds + slab), pi * of_mean, pi * of_log_sd)
