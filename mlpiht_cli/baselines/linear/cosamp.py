"""Compressive sampling matching pursuit, CoSaMP (Needell & Tropp 2009)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.linear.support import Cycle, Data, Recovery, merged
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method
from mlpiht_cli.linalg.threshold import top_s


class CoSaMP(Recovery, Method):
    """CoSaMP for sparse linear models: merge, least squares, prune.

    An iteration merges the support with the 2s largest entries of ``A^T (y - A w)``, solves least squares on these at
    most 3s columns, and keeps the s largest weights as they are. Where 3s exceeds the number of samples, least squares
    has many solutions and the one of least norm is taken, which recovers little. Source: Needell & Tropp, *CoSaMP:
    Iterative signal recovery from incomplete and inaccurate samples*, Applied and Computational Harmonic Analysis
    26(3), 2009; Algorithm 1 of its short form in Communications of the ACM 53(12), 2010.

    The run ends when the fit is exact (the loss is not above the rounding errors of the targets), or when a merged
    support comes again, after which all iterations repeat: ``cycle`` is how many, 1 for a fixed point and 0 for none.
    """

    name: ClassVar[str] = "cosamp"
    version: ClassVar[int] = 1

    steps: int = Field(100, ge=1, description="largest number of iterations")

    def search(self, data: Data, s: int) -> Events:
        """Run the iterations; see :meth:`Recovery.search`."""
        now, cycle, length = data.zero(), Cycle(), 0
        for _ in range(self.steps):
            wide = merged(now.index, top_s(data.correlations(now.residual), 2 * s))
            solved = data.least_squares(wide)
            kept = top_s(solved.values, s)
            then = data.at(wide[kept], solved.values[kept])
            yield Step(now.loss, float(then.values.sum()), not torch.equal(now.index, then.index))
            now, length = then, cycle.length(wide)
            if length or data.is_exact(now.loss, s):
                break
        yield data.reached(now, {"cycle": length})
