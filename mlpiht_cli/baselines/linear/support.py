"""What the sparse linear rivals share: products with the data, least squares on a support, and the loop around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from mlpiht_cli.core.fit import Diverged, Events, Fact, Reached
from mlpiht_cli.core.method import Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import rounding, squared_norm
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor

WELL_POSED = 1e-5
"""Least distance of a unit column from the span of those before it with which normal equations are solved."""

ROUNDING = 2.0**-49
"""Relative change of a vector that may be rounding error."""


@dataclass(frozen=True)
class Sparse:
    """A sparse vector of weights, and what it leaves of the targets.

    Attributes
    ----------
    index
        Places of its entries, int64 ascending ``[k]``.
    values
        The entries, float64 ``[k]``.
    residual
        ``y - A w``, float64 ``[n]``.
    """

    index: Tensor
    values: Tensor
    residual: Tensor

    @property
    def loss(self) -> float:
        """Mean of the squared residual."""
        return float(self.residual.square().mean())

    def dense(self, size: int) -> Tensor:
        """Return all weights, float64 ``[size]``."""
        out: Tensor = self.values.new_zeros(size).index_copy(0, self.index, self.values)
        return out


@dataclass(frozen=True)
class Data:
    """The matrix ``A`` ``[n, d]`` and the targets ``y`` of ``y = A w``.

    Products with all columns are in the dtype of the data, those with the columns of a support in float64.
    """

    a: Tensor
    y: Tensor

    @classmethod
    def of(cls, problem: Problem) -> Data:
        """Take the training data of a problem.

        Raises
        ------
        Diverged
            The data are not finite.
        """
        if not (bool(torch.isfinite(problem.x).all()) and bool(torch.isfinite(problem.y).all())):
            raise Diverged("the data are not finite, or too large")
        return cls(problem.x, problem.y[:, 0].double())

    @property
    def d(self) -> int:
        """Number of columns."""
        return self.a.shape[1]

    def zero(self) -> Sparse:
        """Return the vector without entries."""
        return Sparse(torch.empty(0, dtype=torch.int64, device=self.y.device), self.y.new_empty(0), self.y)

    def correlations(self, residual: Tensor) -> Tensor:
        """Return ``A^T residual``, float64 ``[n] -> [d]``.

        Raises
        ------
        Diverged
            A product is too large for the dtype of the data.
        """
        found = (residual.to(self.a.dtype) @ self.a).double()
        if not bool(torch.isfinite(found).all()):
            raise Diverged("the products of the data are too large for their dtype; scale the inputs and targets")
        return found

    def columns(self, index: Tensor) -> Tensor:
        """Return the columns at ``index``, float64 ``[n, k]``."""
        return self.a[:, index].double()

    def image(self, index: Tensor, values: Tensor) -> Tensor:
        """Return ``A_S values``, float64 ``[k] -> [n]``."""
        return self.columns(index) @ values

    def at(self, index: Tensor, values: Tensor) -> Sparse:
        """Return the vector with these entries, at places in ascending order."""
        return Sparse(index, values, self.y - self.image(index, values))

    def least_squares(self, index: Tensor) -> Sparse:
        """Return the vector on a support (int64 ascending ``[k]``) that leaves the least; see :func:`least_squares`."""
        columns = self.columns(index)
        rank = max(columns.shape) * torch.finfo(self.a.dtype).eps
        values = least_squares(columns, self.y, rank) if len(index) else self.y.new_empty(0)
        return Sparse(index, values, self.y - columns @ values)

    def scale(self) -> float:
        """Return the mean of the squared norms of the columns; theory sets it to 1."""
        return float(torch.linalg.vector_norm(self.a, dtype=torch.float64).square()) / max(1, self.d)

    def steepest(self, gradient: Tensor, support: Tensor) -> float:
        """Return the best step along the part of the gradient ``[d]`` on a support; 0 if that part is 0."""
        on = gradient[support]
        image = float(squared_norm(self.image(support, on)))
        return float(squared_norm(on)) / image if image > 0.0 else 0.0

    def is_exact(self, loss: float, s: int) -> bool:
        """Whether a mean squared residual is not above the rounding errors of targets that are sums of s products."""
        return loss <= rounding(self.y, s, self.a.dtype) / len(self.y)

    def same(self, a: Sparse, b: Sparse) -> bool:
        """Whether two vectors have the same weights in the dtype of the data, up to rounding errors of float64."""
        if not torch.equal(a.index, b.index):
            return False
        gap, size = torch.linalg.vector_norm(a.values - b.values), torch.linalg.vector_norm(b.values)
        equal = torch.equal(a.values.to(self.a.dtype), b.values.to(self.a.dtype))
        return equal or float(gap) <= ROUNDING * float(size)

    def network(self, found: Sparse) -> SparseMLP:
        """Return the linear model of a vector, in the dtype of the data."""
        values = found.values.to(self.a.dtype)
        if not bool(torch.isfinite(values).all()):
            raise Diverged("the weights are too large for the dtype of the data")
        return SparseMLP((SparseMatrix(found.index, values, 1, self.d).compact(),))

    def reached(self, found: Sparse, facts: dict[str, Fact]) -> Reached:
        """Return the answer to a budget."""
        return Reached(self.network(found), facts=facts)


def least_squares(columns: Tensor, y: Tensor, rank: float) -> Tensor:
    """Return the ``w`` ``[k]`` of least norm among those with the least ``|columns w - y|``, all in float64.

    Independent columns are solved for by the normal equations of columns of norm 1, and corrected once with the
    residual, which is as accurate as a QR factorisation. Others take a singular value decomposition.

    Parameters
    ----------
    columns, y
        Shapes ``[n, k]`` and ``[n]``.
    rank
        Share of the largest singular value up to which another counts as zero.
    """
    n, k = columns.shape
    size = torch.linalg.vector_norm(columns, dim=0)
    if k <= n and bool((size > 0).all()):
        unit = columns / size
        factor, info = torch.linalg.cholesky_ex(unit.T @ unit)
        if int(info) == 0 and float(factor.diagonal().min()) > max(rank, WELL_POSED):
            solution = y.new_zeros(k)
            for _ in range(2):
                solution += torch.cholesky_solve((unit.T @ (y - unit @ solution))[:, None], factor)[:, 0]
            return solution.div_(size)
    shortest: Tensor = torch.linalg.pinv(columns, rtol=rank) @ y
    return shortest


def merged(a: Tensor, b: Tensor) -> Tensor:
    """Return the union of two supports, int64 ascending."""
    union: Tensor = torch.unique(torch.cat([a, b]))
    return union


class Cycle:
    """Notes of the supports that a method has been at, each of which decides all that follows."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def length(self, index: Tensor) -> int:
        """Number of iterations since the method was at this support, 1 for the last one; 0 for a new support."""
        now, key = len(self._seen), index.cpu().numpy().tobytes()
        return now - self._seen.setdefault(key, now)


class Recovery(Settings, ABC):
    """The part that methods for sparse linear models share: what they need, and the data that they get."""

    is_random: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input."""
        return d

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Search for one budget."""
        yield from self.search(Data.of(problem), budgets[0])

    @abstractmethod
    def search(self, data: Data, s: int) -> Events:
        """Yield the steps to at most ``s`` nonzeros, and what is reached."""
