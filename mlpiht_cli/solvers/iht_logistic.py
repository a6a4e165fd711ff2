"""Iterative hard thresholding for sparse logistic regression with two or more classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.fit import Diverged, Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Precision, Shape, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.refit import refit
from mlpiht_cli.linalg.smooth import Array, Softmax
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threads import one_blas_thread
from mlpiht_cli.linalg.threshold import hard_threshold
from mlpiht_cli.rng import Streams

LARGEST_EXCHANGE = 8
"""Weights that the first exchange after an improvement swaps; later ones swap half as many."""
PROGRESS = 1e-6
"""Relative fall of the loss below which an exchange counts as none."""


@dataclass(frozen=True)
class _Point:
    """Weights and offsets ``theta [k (d + 1)]``, which of them are kept, the objective, gradient and curvature."""

    theta: Array
    kept: NDArray[np.bool_]
    value: float
    gradient: Array
    curvature: Array


class IHTLogistic(Method):
    """IHT for sparse (multinomial) logistic regression: ``s`` weights between inputs and classes, and free offsets.

    A step moves every weight by Newton's step for it alone, keeps the ``s`` moved weights that matter most (the fall of
    the objective's quadratic model if the weight were set to zero), and minimises the loss on them. When the support
    repeats, weights are exchanged: those that the loss needs least for those that it would gain most from, as long as
    the loss falls (splicing; Zhu et al. 2020, "A polynomial algorithm for best-subset selection problem"). Width and
    depth have no effect, and nothing is drawn.
    """

    name: ClassVar[str] = "iht_logistic"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs(loss="cross_entropy", instead="iht_linear")

    dtype: Precision = "float64"
    steps: int = Field(100, ge=1, description="largest number of steps and exchanges")
    ridge: float = Field(
        1e-4, gt=0, description="weight of half the squared norm: keeps the weights of separable classes finite"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input and class; the offsets do not count, as in other linear models."""
        return d * k

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Fit one budget."""
        ones = torch.ones_like(problem.x[:, :1])
        loss = Softmax(torch.cat([problem.x, ones], dim=1), problem.y, self.ridge)
        if not loss.finite:
            raise Diverged("the data are not finite, or too large")
        search = _Search(loss, budgets[0])
        for before in search.run(self.steps):
            moved = not np.array_equal(before.kept, search.point.kept)
            yield Step(before.value, search.point.value, moved)
        matrix = torch.from_numpy(search.point.theta.reshape(problem.k, problem.d + 1)).to(problem.x.device)
        weights, dtype = matrix[:, :-1].contiguous(), torch_dtype(self.dtype)
        yield Reached(
            SparseMLP((SparseMatrix.from_dense(weights),), bias=matrix[:, -1].contiguous()).to(weights.device, dtype)
        )


class _Search:
    """Search over supports of ``s`` weights; the last entry of each row of ``theta`` is the free offset of a class."""

    def __init__(self, loss: Softmax, s: int) -> None:
        self._loss = loss
        self._free = np.arange(loss.size) % loss.d == loss.d - 1
        self._s = min(s, loss.size - loss.k)
        self.point = self._at(np.zeros(loss.size), self._free)

    def run(self, steps: int) -> Iterator[_Point]:
        """Take steps until neither a step nor an exchange lowers the loss; yield the point before each."""
        best, swapping, size = self.point, False, 0
        for _ in range(steps):
            before = self.point
            if swapping:
                size, found = self._exchanged(size)
            else:
                found = self._stepped()
            self.point = found if found is not None else before
            yield before
            if self.point.value < best.value * (1 - PROGRESS):
                best = self.point
            elif not swapping:
                swapping, size, self.point = True, min(LARGEST_EXCHANGE, self._s), best
            elif found is None:
                return
        self.point = best

    def _stepped(self) -> _Point:
        """Return the point after a step of IHT, in coordinates in which every weight has curvature 1."""
        p = self.point
        unit = np.sqrt(p.curvature)
        moved = hard_threshold(np.where(self._free, 0.0, unit * p.theta - p.gradient / unit), self._s)
        return self._at(moved / unit + np.where(self._free, p.theta, 0.0), (moved != 0) | self._free)

    def _exchanged(self, size: int) -> tuple[int, _Point | None]:
        """Return the next size, and the first exchange of up to ``size`` weights that lowers the loss, or None."""
        p = self.point
        gain = np.where(p.kept, -1.0, p.gradient**2 / p.curvature)
        need = np.where(p.kept & ~self._free, p.theta**2 * p.curvature, np.inf)
        size = min(size, int((gain > 0).sum()))
        while size:
            kept = p.kept.copy()
            kept[np.argsort(-gain, kind="stable")[:size]] = True
            kept[np.argsort(need, kind="stable")[:size]] = False
            found = self._at(p.theta, kept)
            if found.value < p.value * (1 - PROGRESS):
                return LARGEST_EXCHANGE, found
            size //= 2
        return 0, None

    def _at(self, theta: Array, kept: NDArray[np.bool_]) -> _Point:
        """Return the minimum of the loss on a support."""
        with one_blas_thread():
            theta = refit(self._loss, theta, kept)
            value, gradient = self._loss.value_and_gradient(theta)
            return _Point(theta, kept, float(value), gradient, self._loss.diagonal(theta))
