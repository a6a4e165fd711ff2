"""Iterative hard thresholding for sparse linear models: compressed sensing (P1, section 2)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.core.method import Callback, Fit, MethodByBudget, Shape, Status, finite, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.operators import DenseOperator
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import Refinement
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import iht_step


class IHTLinear(MethodByBudget):
    """The accelerated step of :func:`~mlpiht_cli.solvers.iht.iht_step` with the data matrix itself as operator.

    Recovers ``w`` with at most ``s`` nonzeros from ``y = X w``; on other tasks it is the best sparse linear fit.
    Width and depth have no meaning here.
    """

    version: ClassVar[int] = 1

    steps: int = Field(100, ge=1, description="full-batch steps")
    inner_steps: int = Field(3, ge=0, description="refinement steps on the kept support")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """One weight an input."""
        return d

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """One output, squared loss."""
        if problem.k != 1 or problem.loss != "squared":
            return "iht_linear needs one output and the squared loss"
        return None

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Run IHT for one budget; see :meth:`MethodByBudget.fit_path`."""
        problem = problem.to(problem.x.device, torch_dtype(self.dtype))
        operator = DenseOperator(problem.x)
        weights = zero = SparseMatrix.zeros(1, problem.d, problem.x)
        refine, history, settled = Refinement(self.inner_steps), list[float](), 0
        for step in range(1, self.steps + 1):
            before = weights
            weights, loss = iht_step(operator, problem.y[:, 0], weights, budget, refine)
            history.append(float(loss) / problem.n)
            callback(step, history[-1])
            if not finite(float(loss), float(weights.values.sum())):
                reason = f"the loss or the weights left the finite numbers at step {step}"
                return Fit(SparseMLP((zero,)), budget, step, Status.DIVERGED, history=tuple(history), reason=reason)
            if not torch.equal(before.index, weights.index):
                settled = step
        return Fit(SparseMLP((weights,)), budget, self.steps, Status.OK, settled, tuple(history))
