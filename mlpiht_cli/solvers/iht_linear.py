"""Iterative hard thresholding for sparse linear models: compressed sensing (P1, section 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from mlpiht_cli.core.fit import Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.operators import DenseOperator
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import Refinement, rounding
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import iht_step

if TYPE_CHECKING:
    from torch import Tensor


class IHTLinear(Method):
    """IHT for sparse linear models: the step of ``iht`` with the data matrix in place of gates.

    It recovers ``w`` with at most ``s`` nonzeros from ``y = X w``; on other tasks it makes a sparse linear fit. Width
    and depth have no effect. The run ends early when a step changes no weight, so that no further step can, or when the
    fit is exact: the loss is not above the rounding errors of the predictions and does not halve any more.
    """

    name: ClassVar[str] = "iht_linear"
    version: ClassVar[int] = 2
    is_random: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared")
    later: ClassVar[frozenset[str]] = Method.later | {"offset"}

    steps: int = Field(100, ge=1, description="largest number of full-batch steps")
    inner_steps: int = Field(3, ge=0, description="refinement steps on the kept support")
    offset: bool = Field(False, description="add an offset that does not count as a weight, as in other linear models")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input."""
        return d

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget; with an offset, on inputs and targets minus their means."""
        x, y = problem.x, problem.y[:, 0]
        if self.offset:
            x, y = x - x.mean(0), y - y.mean()
        operator, refine = DenseOperator(x), Refinement(self.inner_steps)
        weights = SparseMatrix.zeros(1, problem.d, problem.x)
        errors, last = rounding(y, budgets[0], y.dtype), math.inf
        for _ in range(self.steps):
            before = weights
            weights, value = iht_step(operator, y, weights, budgets[0], refine)
            loss = float(value)
            moved = not torch.equal(before.index, weights.index)
            yield Step(loss / problem.n, float(weights.values.sum()), moved)
            if weights.equals(before) or last / 2.0 < loss <= errors:
                break
            last = loss
        yield Reached(SparseMLP((weights,), bias=self._bias(problem, weights)))

    def _bias(self, problem: Problem, weights: SparseMatrix) -> Tensor | None:
        """Return the best offset of a line, ``mean(y) - w . mean(x)``; None without an offset."""
        if not self.offset:
            return None
        return problem.y.mean(0) - problem.x.mean(0)[weights.col] @ weights.values
