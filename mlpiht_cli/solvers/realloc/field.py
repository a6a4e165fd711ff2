"""What is left of a residual next to columns that are fitted already, and z-tests of further columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

from mlpiht_cli.linalg.moments import gram

if TYPE_CHECKING:
    from torch import Tensor

CLEAR = 1e-3
"""Share of a column that the base must leave: with less, a z-test is rounding."""
RIDGE = 1e-9
"""First ridge of a Cholesky factor, a share of the mean diagonal."""


@dataclass(frozen=True)
class Field:
    """Inputs, and what is left of a residual without its best fit by some columns, the base.

    Attributes
    ----------
    x, r
        Inputs ``[d, n]``, and what is left of the residual, ``[n]``.
    base, factor
        The columns ``[b, n]``, and the lower Cholesky factor of their Gram matrix, float64.
    """

    x: Tensor
    r: Tensor
    base: Tensor
    factor: Tensor

    @classmethod
    def of(cls, base: Tensor, x: Tensor, residual: Tensor) -> Self:
        """Fit the columns of the base, which may be of another dtype than the inputs."""
        base, residual = base.to(x.dtype), residual.to(x.dtype)
        factor = cholesky(gram(base).double())
        r = residual
        for _ in range(2):  # twice: the first fit leaves rounding errors
            r = r - torch.cholesky_solve((base @ r).double()[:, None], factor)[:, 0].to(x.dtype) @ base
        return cls(x, r, base, factor)

    def beyond(self, columns: Tensor) -> Tensor:
        """Return what the base explains of columns ``[c, n]`` in the coordinates of its factor, ``[b, c]``."""
        half: Tensor = torch.linalg.solve_triangular(self.factor, (self.base @ columns.T).double(), upper=False)
        return half

    def z(self, columns: Tensor) -> Tensor:
        """Return the z-values of columns ``[c, n]`` next to the base, float64; 0 where it leaves next to nothing.

        A z-value is the coefficient of a column alone in the fit of ``r``, in standard deviations of that coefficient.
        """
        before = columns.double().square().sum(1)
        rest = before - self.beyond(columns).square().sum(0)
        n = len(self.r)
        spread = float(self.r.double().square().sum()) / max(n - len(self.base), n // 10, 1)
        z = (columns @ self.r).double() / (rest * spread).clamp(min=1e-300).sqrt()
        return torch.where(rest > CLEAR * before, z, 0.0)

    def gates(self, weights: Tensor) -> Tensor:
        """Return the gates of neurons, +1 where they are open and -1 elsewhere, ``[b, n]``."""
        return torch.where(weights.to(self.x.dtype) @ self.x > 0, 1.0, -1.0).to(self.x.dtype)


def cholesky(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor of a matrix plus the least ridge for which there is one, by factors of ten."""
    ridge = RIDGE * float(matrix.diagonal().mean()) + 1e-30
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    factor: Tensor
    factor, info = torch.linalg.cholesky_ex(matrix + ridge * identity)
    while int(info):
        ridge *= 10.0
        factor, info = torch.linalg.cholesky_ex(matrix + ridge * identity)
    return factor
