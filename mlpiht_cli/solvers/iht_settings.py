"""Settings of IHT for networks with one output, but for the choice of gates, and the budget of each of its steps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlpiht_cli.core.settings import Settings

RELAXATION = frozenset({"relax", "schedule", "relax_share"})
"""Settings of the budget's schedule."""


class IHTSettings(Settings):
    """Settings that the methods around IHT for one output share, but for the number of steps.

    Mixin; list it before ``Method``.
    """

    gate_period: int = Field(1, ge=1, description="steps between two gate updates (Tables 1 and 2)")
    inner_steps: int = Field(10, ge=0, description="refinement steps on the kept support")
    signs: Literal["positive", "both"] = Field(
        "positive", description="fixed output signs: all +1, or +1 and -1 in turn, which can fit any target"
    )
    relax: float = Field(
        1.0, ge=1, allow_inf_nan=False, description="the first steps may keep up to `relax` times s weights"
    )
    schedule: Literal["constant", "geometric"] = Field(
        "constant", description="how their budget falls to s: at once after the last of them, or by one factor a step"
    )
    relax_share: float = Field(
        0.6, gt=0, le=1, description="share of the steps whose budget is relaxed; never that of the last step"
    )

    def budget(self, step: int, steps: int, s: int, weights: int) -> int:
        """Return the number of weights that a step may keep: at least s, and s from some step on.

        With K the ``relax_share`` of the steps, rounded and below all of them, the steps t = 0, ..., K - 1 may keep
        ``relax * s`` (constant) or ``relax^(1 - t/K) * s`` (geometric: the next step would keep s), rounded, and no
        more than there are. That such a relaxation is what the guarantee of IHT asks for: Jain, Tewari and Kar, "On
        iterative hard thresholding methods for high-dimensional M-estimation", 2014, Theorem 1.

        Parameters
        ----------
        step, steps
            Number of the step, from 0, and of all steps; minibatches of all epochs count.
        s
            Budget of the network.
        weights
            Number of weights that there are.
        """
        relaxed = min(round(self.relax_share * steps), steps - 1)
        if step >= relaxed:
            return s
        factor = self.relax if self.schedule == "constant" else self.relax ** (1.0 - step / relaxed)
        return max(s, round(min(factor * s, weights)))
