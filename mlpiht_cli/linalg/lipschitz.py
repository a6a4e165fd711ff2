"""Estimates of the restricted smoothness constant ``L_2s`` of P2: how fast a gradient changes between sparse points.

``L_2s`` is the least L with ``f(b) <= f(a) + <g(a), b - a> + L/2 |b - a|^2`` for all s-sparse a and b, which differ in
at most 2s places. :meth:`~mlpiht_cli.linalg.smooth.SmoothLoss.bound` is an upper bound of it; the estimates here are
lower bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpiht_cli.linalg.smooth import Array, SmoothLoss
from mlpiht_cli.linalg.subsets import subsets

_CHUNK = 2048  # pairs per block; bounds the working memory


@dataclass(frozen=True)
class Estimates:
    """Monte Carlo estimates of ``L_2s``, both lower bounds (protocol, section 5).

    Attributes
    ----------
    descent
        (i) Largest ``2 (f(b) - f(a) - <g(a), b - a>) / |b - a|^2``.
    gradient
        (ii) Largest ``|(g(a) - g(b))_J| / |a - b|``, where J is the union of the supports.
    """

    descent: float
    gradient: float


def sparse_vectors(generator: np.random.Generator, count: int, size: int, s: int) -> Array:
    """Draw vectors ``[count, size]`` with ``min(s, size)`` standard normal entries at uniformly random places."""
    ranks = generator.random((count, size)).argsort(axis=1).argsort(axis=1)
    return np.where(ranks < s, generator.standard_normal((count, size)), 0.0)


def monte_carlo(loss: SmoothLoss, a: Array, b: Array) -> Estimates:
    """Return both estimates over pairs of sparse points ``a`` and ``b``, ``[count, N]`` each; skip equal points."""
    starts = range(0, len(a), _CHUNK)
    found = [_estimates(loss, a[i : i + _CHUNK], b[i : i + _CHUNK]) for i in starts]
    return Estimates(max(one.descent for one in found), max(one.gradient for one in found))


def _estimates(loss: SmoothLoss, a: Array, b: Array) -> Estimates:
    apart = (a != b).any(axis=1)
    a, b = a[apart], b[apart]
    (value_a, slope_a), (value_b, slope_b) = loss.value_and_gradient(a), loss.value_and_gradient(b)
    squared = ((b - a) ** 2).sum(axis=1)
    rise = value_b - value_a - (slope_a * (b - a)).sum(axis=1)
    change = np.where((a != 0) | (b != 0), slope_b - slope_a, 0.0)
    gradient = np.sqrt((change**2).sum(axis=1) / squared)
    return Estimates(float((2.0 * rise / squared).max(initial=0.0)), float(gradient.max(initial=0.0)))


def exact_at_zero(loss: SmoothLoss, s: int) -> float:
    """Return the largest eigenvalue of any 2s x 2s principal part of the Hessian at 0.

    This is the exact ``L_2s`` of small moves from 0 and a lower bound of ``L_2s``. All ``C(N, 2s)`` supports are tried.

    Raises
    ------
    CellSkipped
        There are too many supports.
    """
    hessian = loss.hessian(np.zeros(loss.size))
    parts = (hessian[kept[:, :, None], kept[:, None, :]] for kept in subsets(loss.size, min(2 * s, loss.size)))
    return max(float(np.linalg.eigvalsh(part)[:, -1].max()) for part in parts)
