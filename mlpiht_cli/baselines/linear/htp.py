"""Hard thresholding pursuit (Foucart 2011)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.linear.support import Cycle, Data, Recovery
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method
from mlpiht_cli.linalg.threshold import top_s


class HTP(Recovery, Method):
    """Hard thresholding pursuit for sparse linear models: IHT with least squares on each support.

    From ``w`` it takes the support S of the s largest entries of ``w + mu A^T (y - A w)`` (HTP1), and then the best
    weights on S (HTP2). Source: Foucart, *Hard Thresholding Pursuit: An Algorithm for Compressive Sensing*, SIAM
    Journal on Numerical Analysis 49(6), 2011, where mu is 1 and columns have a norm of about 1; here mu is in units of
    the inverse of the mean squared norm of the columns.

    The run ends when a support comes again: the same one as before (``cycle`` is 1), which is a fixed point, or an
    earlier one (``cycle`` is the number of supports that would repeat for ever). ``cycle`` is 0 where the steps run
    out.
    """

    name: ClassVar[str] = "htp"
    version: ClassVar[int] = 1

    steps: int = Field(100, ge=1, description="largest number of steps")
    mu: float | None = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="step length, 1 for columns of norm 1; null: exact line search along the s largest entries of the "
        "gradient, a normalised step",
    )

    def search(self, data: Data, s: int) -> Events:
        """Run the steps; see :meth:`Recovery.search`."""
        now, cycle, length = data.zero(), Cycle(), 0
        scale = data.scale()
        for _ in range(self.steps):
            gradient = data.correlations(now.residual)
            if self.mu is None:
                step = data.steepest(gradient, top_s(gradient, s))
            else:
                step = self.mu / scale if scale > 0.0 else 0.0
            kept = top_s(now.dense(data.d) + step * gradient, s)
            then = data.least_squares(kept)
            yield Step(now.loss, float(then.values.sum()), not torch.equal(now.index, kept))
            now, length = then, cycle.length(kept)
            if length:
                break
        yield data.reached(now, {"cycle": length})
