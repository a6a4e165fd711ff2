"""The best sparse linear layer: it tries every support, each with its optimal weights (P2's ground truth)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import ClassVar

import numpy as np
from pydantic import Field

from mlpiht_cli.core.fit import Diverged, Events, Reached, Step, finite
from mlpiht_cli.core.method import Method, Precision, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.newton import newton
from mlpiht_cli.linalg.smooth import SMOOTH_LOSSES
from mlpiht_cli.linalg.subsets import subsets
from mlpiht_cli.rng import Streams

_MAX_WEIGHTS = 20


class BestSubset(Method):
    """Minimum of the objective over all supports of ``s`` weights, by Newton's method on each of the ``C(N, s)``.

    The objective is the loss plus ridge / 2 times the squared norm. It is convex, so on each support a zero gradient
    proves the optimum: no network of s weights has a lower objective, up to the tolerance. If classes can be separated
    and there is no ridge, the infimum is at infinity. The objective then falls by about a factor e per step, and the
    result is the first point whose gradient is within the tolerance, which is the infimum up to about the tolerance.

    The method draws no random numbers. It computes in float64 on the CPU; ``dtype`` is the dtype of the returned
    weights.
    """

    name: ClassVar[str] = "best_subset"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False

    dtype: Precision = "float64"
    ridge: float = Field(0.0, ge=0, allow_inf_nan=False, description="weight of half the squared norm in the loss")
    newton_steps: int = Field(100, ge=1, description="largest number of Newton steps")
    tolerance: float = Field(
        1e-9, gt=0, allow_inf_nan=False, description="largest gradient that counts as zero on a support"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input and output."""
        return d * k

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require at most 20 weights; any smooth loss is allowed."""
        size = problem.d * problem.k
        if size > _MAX_WEIGHTS:
            return f"{self.name} tries all supports of at most {_MAX_WEIGHTS} weights, not {size}"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Try every support of one budget; a step is a Newton step on a block of supports."""
        loss = SMOOTH_LOSSES[problem.loss](problem.x, problem.y, self.ridge)
        if not loss.finite:
            raise Diverged("the data are not finite, or too large")
        theta, value, slope, tried = np.zeros(loss.size), math.inf, math.inf, 0
        for kept in subsets(loss.size, min(budgets[0], loss.size)):
            tried += len(kept)
            for solved in islice(newton(loss, kept, self.tolerance), self.newton_steps + 1):
                least = float(np.min(solved.value, where=np.isfinite(solved.value), initial=math.inf))
                if finite(least):  # a support without any finite value is left out
                    yield Step(least)
            first = int(solved.value.argmin())
            if float(solved.value[first]) < value:
                theta, value, slope = solved.theta[first], float(solved.value[first]), float(solved.slope[first])
        if not finite(value):
            raise Diverged("the data are not finite, or too large")
        layer = loss.matrix(theta).to(problem.x.device, problem.x.dtype)
        facts = {"objective": value, "on_support_gradient": slope, "supports": tried}
        yield Reached(SparseMLP((layer,)), facts=facts)
