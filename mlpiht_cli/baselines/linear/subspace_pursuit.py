"""Subspace pursuit (Dai & Milenkovic 2009)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.linear.support import Data, Recovery, merged
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method
from mlpiht_cli.linalg.threshold import top_s


class SubspacePursuit(Recovery, Method):
    """Subspace pursuit for sparse linear models: CoSaMP with s candidates and least squares after each prune.

    It starts from the s largest entries of ``A^T y``. An iteration merges the support with the s largest entries of
    ``A^T r``, r being what least squares on the support leaves of the targets, solves least squares on these at most 2s
    columns, keeps the s largest weights, and solves least squares on them. Source: Dai & Milenkovic, *Subspace Pursuit
    for Compressive Sensing Signal Reconstruction*, IEEE Transactions on Information Theory 55(5), 2009, Algorithm 1.

    As there, the run ends when the residual does not fall, with the support before. So it always ends.
    """

    name: ClassVar[str] = "subspace_pursuit"
    version: ClassVar[int] = 1

    steps: int = Field(100, ge=1, description="largest number of iterations")

    def search(self, data: Data, s: int) -> Events:
        """Run the iterations; see :meth:`Recovery.search`."""
        now = data.least_squares(top_s(data.correlations(data.y), s))
        yield Step(float(data.y.square().mean()), float(now.values.sum()), len(now.index) > 0)
        for _ in range(self.steps):
            wide = merged(now.index, top_s(data.correlations(now.residual), s))
            solved = data.least_squares(wide)
            then = data.least_squares(wide[top_s(solved.values, s)])
            is_better = then.loss < now.loss
            moved = is_better and not torch.equal(now.index, then.index)
            yield Step(now.loss, float(then.values.sum()), moved)
            if not is_better:
                break
            now = then
        yield data.reached(now, {})
