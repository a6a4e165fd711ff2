"""The lasso by FISTA (Beck & Teboulle 2009) along falling penalties, pruned to the budget and refitted."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.linear.support import Data, Recovery
from mlpiht_cli.core.fit import Events, Fact, Step
from mlpiht_cli.core.method import Method
from mlpiht_cli.linalg.stepsize import squared_norm
from mlpiht_cli.linalg.threshold import soft_threshold, top_s

if TYPE_CHECKING:
    from torch import Tensor

GROWTH = 1.5
"""Factor by which a curvature that proves too small grows, the paper's eta."""
POWERS = 20
"""Products with the data that estimate the first curvature."""
ROUNDING = 1e-9
"""Relative error of squared norms with which curvatures are compared."""


class FISTA(Recovery, Method):
    """The lasso for sparse linear models, then least squares on its s largest weights.

    For a falling row of penalties it minimises ``|y - A w|^2 / 2 + penalty |w|_1``, each from the minimum before. The
    first penalty is ``ratio`` times the least one that leaves no weight, ``max_j |a_j . y|``; each further one is
    ``ratio`` times the one before, down to ``least`` times it. Of a lasso solution the s largest weights are kept and
    refitted by least squares (debiased). ``keep=best`` takes the penalty with the least training loss after that, and
    ends at a fit that is exact; ``keep=first`` takes the first penalty whose solution has s nonzeros or more. Facts:
    ``penalty`` of the mean squared error over 2, as scikit-learn counts it; ``pruned``, the number of nonzeros of its
    lasso solution that were dropped by magnitude; ``penalties`` that were solved.

    The solver is FISTA with backtracking: Beck & Teboulle, *A Fast Iterative Shrinkage-Thresholding Algorithm for
    Linear Inverse Problems*, SIAM Journal on Imaging Sciences 2(1), 2009, section 4, (4.1) to (4.3). Its curvature
    starts at a lower bound of the largest eigenvalue of ``A^T A``, by power iteration. At each penalty it stops when a
    step moves no weight by more than ``tolerance`` times the penalty over the curvature; the optimality conditions of
    the lasso then hold up to twice that share of the penalty.
    """

    name: ClassVar[str] = "fista"
    version: ClassVar[int] = 1

    steps: int = Field(1000, ge=1, description="largest number of steps for each penalty")
    ratio: float = Field(0.8, gt=0, lt=1, description="each penalty is this share of the one before")
    least: float = Field(1e-3, gt=0, lt=1, description="least penalty, as a share of the least that leaves no weight")
    keep: Literal["best", "first"] = Field(
        "best", description="penalty of least loss after the refit, or first one with s nonzeros or more"
    )
    tolerance: float = Field(1e-3, gt=0, lt=1, description="largest move of a step that ends a penalty, in its units")

    def search(self, data: Data, s: int) -> Events:
        """Follow the penalties; see :meth:`Recovery.search`."""
        slopes = data.correlations(data.y)
        penalties = self._penalties(float(slopes.abs().max()))
        lasso, best = Lasso(data, slopes), data.zero()
        facts: dict[str, Fact] = {"penalty": 0.0, "pruned": 0, "penalties": 0}
        for count, penalty in enumerate(penalties, 1):
            yield from lasso.steps(penalty, self.steps, self.tolerance)
            kept = top_s(lasso.weights, s)
            is_last = count == len(penalties) or (self.keep == "first" and len(kept) == s)
            if is_last or self.keep == "best":
                then = data.least_squares(kept)
                if then.loss < best.loss:
                    dropped = int((lasso.weights != 0).sum()) - len(kept)
                    best, facts = then, {"penalty": penalty / len(data.y), "pruned": dropped}
            facts["penalties"] = count
            if is_last or data.is_exact(best.loss, s):
                break
        if not penalties:  # targets of zero, or no column that sees them
            yield Step(best.loss, 0.0, False)
        yield data.reached(best, facts)

    def _penalties(self, largest: float) -> list[float]:
        """Return the penalties, falling; none if the largest is 0."""
        count = math.ceil(math.log(self.least) / math.log(self.ratio))
        shares = [max(self.ratio**power, self.least) for power in range(1, count + 1)]
        return [share * largest for share in shares if largest > 0.0]


class Lasso:
    """Minima of ``|y - A w|^2 / 2 + penalty |w|_1``, each found from the one before.

    Attributes
    ----------
    weights
        The weights, float64 ``[d]``.
    curvature
        The paper's L, which only grows.
    """

    def __init__(self, data: Data, slopes: Tensor) -> None:
        self._data, self._residual = data, data.y
        self.weights = torch.zeros_like(slopes)
        self.curvature = largest_eigenvalue(data, slopes)

    def steps(self, penalty: float, limit: int, tolerance: float) -> Generator[Step, None, None]:
        """Yield the steps to the minimum of a penalty, at most ``limit``; see :class:`FISTA`."""
        point, residual, t = self.weights, self._residual, 1.0
        for _ in range(limit):
            before, left = self.weights, self._residual
            self._descend(point, residual, penalty)
            moved = not torch.equal(before != 0, self.weights != 0)
            yield Step(float(left.square().mean()), float(self.weights.sum()), moved)
            if self.curvature * float((self.weights - point).abs().max()) <= tolerance * penalty:
                break
            after = (1.0 + math.sqrt(1.0 + 4.0 * t * t)) / 2.0  # (4.2)
            share, t = (t - 1.0) / after, after
            point = self.weights + share * (self.weights - before)  # (4.3)
            residual = self._residual + share * (self._residual - left)

    def _descend(self, point: Tensor, residual: Tensor, penalty: float) -> None:
        """Take a proximal step (4.1) from a point ``[d]`` and its residual ``[n]``; raise the curvature as needed."""
        slopes = self._data.correlations(residual)
        while True:
            moved = soft_threshold(point + slopes / self.curvature, penalty / self.curvature)
            kept = torch.nonzero(moved).flatten()
            then = self._data.at(kept, moved[kept])
            change, image = squared_norm(moved - point), squared_norm(then.residual - residual)
            if float(image) <= self.curvature * float(change) * (1.0 + ROUNDING) or not math.isfinite(self.curvature):
                break
            self.curvature *= GROWTH
        self.weights, self._residual = moved, then.residual


def largest_eigenvalue(data: Data, start: Tensor) -> float:
    """Return a lower bound of the largest eigenvalue of ``A^T A``, by power iteration from ``[d]``; 1 from zero."""
    vector, value = start, 1.0
    for _ in range(POWERS):
        size = float(torch.linalg.vector_norm(vector))
        if size == 0.0:
            return 1.0
        image = data.a @ (vector / size).to(data.a.dtype)
        value = float(squared_norm(image))
        vector = data.correlations(image.double())
    return value
