"""Hermite moments of a residual: they reveal missing ReLU neurons without any gates.

For standard normal inputs and ``r(x) = sum_j relu(w_j . x)``, integration by parts gives, with ``u_j = w_j / |w_j|``,

    E[r (x x^T - I)]      =  phi(0) sum_j |w_j| u_j u_j^T,
    E[r He_4(x)] (v, v, v) = -phi(0) sum_j |w_j| (u_j . v)^3 u_j,        phi(0) = 1 / sqrt(2 pi),

and a linear part of ``r`` changes neither. Moments are sample means; separate functions give their noise. The fourth
moment separates neurons: near the direction of a neuron it equals the weights of that neuron, and other neurons are
weighted by a cubed cosine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

PHI0 = 1.0 / math.sqrt(2.0 * math.pi)
TILE = 4096  # samples per block


def tiles(n: int, size: int = TILE) -> Iterator[slice]:
    """Yield slices that split ``n`` samples into runs of at most ``size``."""
    for start in range(0, n, size):
        yield slice(start, min(n, start + size))


def gram(columns: Tensor) -> Tensor:
    """Return ``columns columns^T``, ``[k, n] -> [k, k]``; on CPUs NumPy computes one of its two equal triangles."""
    if columns.device.type != "cpu":
        return columns @ columns.T
    array = columns.numpy()
    return torch.from_numpy(array @ array.T)


def looks_normal(features: Tensor) -> bool:
    """Whether inputs ``[d, n]`` are roughly independent and normal with mean zero, as the moments assume.

    The test compares means, fourth moments and correlations, averaged over the inputs, with 0, 3 and 0. It allows a
    tenth of a standard deviation, a kurtosis between 2 and 4, a correlation of a tenth, and sampling errors. Images and
    tables are far outside these limits: their inputs are correlated or mostly zero.
    """
    live = features[features.abs().amax(1) > 0]
    d, n = live.shape
    if d == 0 or n < 2:
        return False
    noise = 2.0 / math.sqrt(n)
    z = live / live.square().mean(1, keepdim=True).sqrt()
    shift = float(z.mean(1).square().mean().sqrt())
    kurtosis = float(z.square().square_().mean())
    correlation = (z @ z.T / n).fill_diagonal_(0.0)
    spread = float(correlation.square().sum() / max(d * (d - 1), 1)) ** 0.5
    return shift < 0.1 + noise and abs(kurtosis - 3.0) < 1.0 + 5.0 * noise and spread < 0.1 + noise


def second_moment(features: Tensor, residual: Tensor) -> Tensor:
    """Return the estimate of ``sum_j |w_j| u_j u_j^T``, float64 ``[d, d]``.

    ``features`` is ``X^T``, ``[d, n]``; ``residual`` ``[n]`` must have mean zero, or its mean adds noise.
    """
    d, n = features.shape
    total = torch.zeros(d, d, dtype=torch.float64, device=features.device)
    for run in tiles(n):
        total += (features[:, run] * residual[run]) @ features[:, run].T
    identity = torch.eye(d, dtype=torch.float64, device=features.device)
    return (total / n - residual.double().mean() * identity) / PHI0


def second_noise(residual: Tensor) -> float:
    """Return the standard deviation of an off-diagonal entry of :func:`second_moment`; diagonal: sqrt(2) times it."""
    return float(residual.double().std()) / math.sqrt(len(residual)) / PHI0


def without_quadratic(features: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
    """Return the residual ``[n]`` minus the quadratic form that has this second moment; the result has mean zero."""
    form = moment.to(features.dtype)
    out = torch.empty_like(residual)
    for run in tiles(len(residual)):
        x = features[:, run]
        out[run] = residual[run] - 0.5 * PHI0 * ((form @ x) * x).sum(0)
    return out - out.mean()


def fourth_moment(features: Tensor, residual: Tensor, directions: Tensor) -> Tensor:
    """Return estimates of ``sum_j |w_j| (u_j . v)^3 u_j`` for unit ``directions`` v; both are float64 ``[b, d]``."""
    n = features.shape[1]
    v = directions.to(features.dtype)
    total, second = torch.zeros_like(directions), torch.zeros_like(directions[:, 0])
    for run in tiles(n):
        x = features[:, run]
        z = v @ x
        squares = z.square()
        second += (squares - 1.0) @ residual[run]
        total += (z * (squares - 3.0) * residual[run]) @ x.T
    return (3.0 * directions * second[:, None] - total) / n / PHI0


def fourth_noise(residual: Tensor) -> float:
    """Return the standard deviation of an entry of :func:`fourth_moment` across the direction."""
    return math.sqrt(6.0) * second_noise(residual)


@dataclass(frozen=True)
class Whitening:
    """Coordinates in which the neurons of a second moment are orthogonal, in its significant eigenspace.

    Attributes
    ----------
    project
        ``B``, ``[d, q]``, with ``B^T M B = I``, or a diagonal of +1 and -1 for neurons of both output signs.
    lift
        Transposed pseudo-inverse of ``B``, ``[d, q]``; it maps a direction back to the inputs.
    """

    project: Tensor
    lift: Tensor

    @classmethod
    def of(cls, moment: Tensor, noise: float, signs: bool = False) -> Whitening:
        """Keep the eigenvalues above those of a noise matrix, ``2 noise sqrt(d)``, with a margin of a tenth.

        With ``signs`` negative eigenvalues count too; neurons are then only as orthogonal as in the coordinates of the
        inputs.
        """
        values, vectors = torch.linalg.eigh(moment)
        values = values.abs() if signs else values
        keep = values > 2.2 * noise * math.sqrt(len(moment))
        root, vectors = values[keep].sqrt(), vectors[:, keep]
        return cls(vectors / root, vectors * root)


def whitened_fourth(projected: Tensor, residual: Tensor, directions: Tensor) -> Tensor:
    """Return the fourth moment along unit ``directions`` in whitened coordinates, where it is an orthogonal tensor.

    Parameters
    ----------
    projected
        Inputs in whitened coordinates, ``[q, n]``; their covariance is not the identity.
    residual
        Residual ``[n]`` without a quadratic part.
    directions
        float64 ``[b, q]``.
    """
    n = projected.shape[1]
    v = directions.to(projected.dtype)
    q = len(projected)
    covariance = torch.zeros(q, q, dtype=torch.float64, device=projected.device)
    second, total = torch.zeros_like(covariance), torch.zeros_like(directions)
    for run in tiles(n):
        p = projected[:, run]
        covariance += p @ p.T
        second += (p * residual[run]) @ p.T
        total += ((v @ p) ** 3 * residual[run]) @ p.T
    cv, sv = directions @ covariance / n, directions @ second / n
    lower = cv * (sv * directions).sum(1, keepdim=True) + sv * (cv * directions).sum(1, keepdim=True)
    return (3.0 * lower - total / n) / PHI0
