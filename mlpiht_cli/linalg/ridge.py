"""Ridge regression with an intercept; held-out samples choose the penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

PENALTIES = tuple(10.0**exponent for exponent in range(-6, 3))
"""Penalties tried, in units of a feature's variance."""
HELD_OUT = 0.2
"""Share of the samples that choose the penalty."""


class Ridge(NamedTuple):
    """Coefficients float64 ``[p]``, the intercept and the chosen penalty."""

    coefficients: Tensor
    intercept: Tensor
    penalty: float


class _Moments(NamedTuple):
    """Means of the features and the target, and their covariances."""

    h: Tensor
    y: Tensor
    hh: Tensor
    hy: Tensor


def ridge(h: Tensor, y: Tensor, rng: np.random.Generator) -> Ridge:
    """Minimise ``mean((y - h a - b)^2) + penalty |a|^2`` over ``a`` and ``b``.

    The penalty is the one of :data:`PENALTIES` with the least error on a random fifth of the samples. The final fit
    uses all samples.

    Parameters
    ----------
    h, y
        Features ``[n, p]`` and targets ``[n]``, at least two samples.
    rng
        Draws the held-out samples.
    """
    h, y = h.double(), y.double()
    order = torch.from_numpy(rng.permutation(len(h))).to(h.device)
    held, rest = order.tensor_split([max(1, round(HELD_OUT * len(h)))])
    tried = _moments(h[rest], y[rest])
    a = _solve(tried, PENALTIES)
    errors = (y[held, None] - tried.y - (h[held] - tried.h) @ a).square().mean(0)
    penalty = PENALTIES[int(errors.argmin())]
    whole = _moments(h, y)
    found = _solve(whole, (penalty,))[:, 0]
    return Ridge(found, whole.y - whole.h @ found, penalty)


def _moments(h: Tensor, y: Tensor) -> _Moments:
    mean_h, mean_y = h.mean(0), y.mean()
    hh = h.T @ h / len(h) - torch.outer(mean_h, mean_h)
    return _Moments(mean_h, mean_y, hh, h.T @ y / len(h) - mean_h * mean_y)


def _solve(moments: _Moments, penalties: tuple[float, ...]) -> Tensor:
    """Return the coefficients ``[p, len(penalties)]``, from one eigendecomposition."""
    values, vectors = torch.linalg.eigh(moments.hh)
    shifted = values.clamp_min(0.0)[:, None] + torch.tensor(penalties, dtype=values.dtype, device=values.device)
    found: Tensor = vectors @ ((vectors.T @ moments.hy)[:, None] / shifted)
    return found
