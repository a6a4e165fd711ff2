"""Hermite polynomials, orthonormal under the standard normal distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def hermite(z: Tensor, degree: int) -> Tensor:
    """Return ``He_k(z) / sqrt(k!)`` entry by entry, by the three-term recurrence ``He_{k+1} = z He_k - k He_{k-1}``.

    ``E[hermite(z, j) hermite(z, k)]`` is 1 for ``j = k`` and 0 otherwise when ``z ~ N(0, 1)``.
    """
    before, now = torch.zeros_like(z), torch.ones_like(z)
    for k in range(degree):
        before, now = now, z * now - k * before
    return now / math.sqrt(math.factorial(degree))
