"""Normalised iterative hard thresholding (Blumensath & Davies 2010)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field, model_validator

from mlpiht_cli.baselines.linear.support import Data, Recovery, Sparse
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method
from mlpiht_cli.linalg.stepsize import LADDER, squared_norm
from mlpiht_cli.linalg.threshold import top_s

if TYPE_CHECKING:
    from torch import Tensor


class NIHT(Recovery, Method):
    """Normalised IHT for sparse linear models: ``w <- H_s(w + mu g)`` with ``g = A^T (y - A w)``.

    The step ``mu = |g_S|^2 / |A_S g_S|^2`` is that of steepest descent on the support S, which at the start is that of
    the s largest entries of g. A step that changes the support must not exceed ``(1 - c) |v - w|^2 / |A (v - w)|^2``, v
    being the thresholded point: until it does not, mu is divided by ``kappa (1 - c)``. So the loss never rises. Source:
    Blumensath & Davies, *Normalized Iterative Hard Thresholding: Guaranteed Stability and Performance*, IEEE Journal of
    Selected Topics in Signal Processing 4(2), 2010.

    The run ends early when no weight changes, or when the fit is exact: the loss is not above the rounding errors of
    the targets and does not halve any more. The fact ``shortened`` counts the divisions of steps.
    """

    name: ClassVar[str] = "niht"
    version: ClassVar[int] = 1

    steps: int = Field(1000, ge=1, description="largest number of steps")
    c: float = Field(
        0.01, gt=0, lt=1, description="share by which a step that changes the support stays below the bound"
    )
    kappa: float = Field(
        2.0, gt=1, allow_inf_nan=False, description="a step that is too long is divided by kappa (1 - c)"
    )

    @model_validator(mode="after")
    def _divides(self) -> NIHT:
        if self.kappa * (1.0 - self.c) <= 1.0:
            raise ValueError("kappa (1 - c) must be above 1, or steps are never shortened; raise kappa or lower c")
        return self

    def search(self, data: Data, s: int) -> Events:
        """Run the steps; see :meth:`Recovery.search`."""
        now, last, shortened = data.zero(), math.inf, 0
        for _ in range(self.steps):
            gradient = data.correlations(now.residual)
            support = now.index if len(now.index) else top_s(gradient, s)
            step = data.steepest(gradient, support)
            then, divisions = self._moved(data, now, (step, gradient, support), s)
            shortened += divisions
            yield Step(now.loss, float(then.values.sum()), not torch.equal(now.index, then.index))
            is_still, last, now = data.same(now, then), now.loss, then
            if is_still or (data.is_exact(now.loss, s) and now.loss > last / 2.0):
                break
        yield data.reached(now, {"shortened": shortened})

    def _moved(self, data: Data, now: Sparse, move: tuple[float, Tensor, Tensor], s: int) -> tuple[Sparse, int]:
        """Return the thresholded point after a step, and how many times the step was divided."""
        (step, gradient, support), start, divisions = move, now.dense(data.d), 0
        while True:
            moved = start + step * gradient
            kept = top_s(moved, s)
            then = data.at(kept, moved[kept])
            if torch.equal(kept, support) or divisions == LADDER:
                return then, divisions
            change = squared_norm(then.dense(data.d) - start)
            image = squared_norm(now.residual - then.residual)
            if step * image <= (1.0 - self.c) * change:
                return then, divisions
            step, divisions = step / (self.kappa * (1.0 - self.c)), divisions + 1
