"""Iterative hard thresholding for sparse linear models: compressed sensing (P1, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.core.fit import Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.operators import DenseOperator
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import Refinement
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import iht_step


class IHTLinear(Method):
    """IHT for sparse linear models: the step of ``iht`` with the data matrix in place of gates.

    It recovers ``w`` with at most ``s`` nonzeros from ``y = X w``; on other tasks it makes a sparse linear fit. Width
    and depth have no effect.
    """

    name: ClassVar[str] = "iht_linear"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared")

    steps: int = Field(100, ge=1, description="full-batch steps")
    inner_steps: int = Field(3, ge=0, description="refinement steps on the kept support")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input."""
        return d

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget."""
        operator, refine = DenseOperator(problem.x), Refinement(self.inner_steps)
        weights = SparseMatrix.zeros(1, problem.d, problem.x)
        for _ in range(self.steps):
            before = weights
            weights, loss = iht_step(operator, problem.y[:, 0], weights, budgets[0], refine)
            moved = not torch.equal(before.index, weights.index)
            yield Step(float(loss) / problem.n, float(weights.values.sum()), moved)
        yield Reached(SparseMLP((weights,)))
