"""Cyclical pruning: the schedule of gradual pruning again and again, so that pruned weights may return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.pruning.gmp import descend
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


class Cyclical(SparseTraining, Method):
    """Cyclical pruning (Srinivas et al., Cyclical pruning for sparse neural networks, 2022).

    Every cycle begins with all weights, those pruned in the cycle before from 0, and prunes along the cubic of ``gmp``
    with a step size that starts again in each cycle. The last phase trains at the budget.
    """

    name: ClassVar[str] = "cyclical"
    version: ClassVar[int] = 1

    cycles: int = Field(3, ge=1, description="periods of the schedule")
    prunes: int = Field(20, ge=1, description="number of prunes of a cycle, evenly spaced")
    end: float = Field(0.75, gt=0, le=1, description="share of the steps that the cycles take; the rest fine-tunes")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run the cycles for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        cycling = round(self.end * network.steps)
        for i in range(self.cycles):
            length = round(cycling * (i + 1) / self.cycles) - round(cycling * i / self.cycles)
            network.keep([torch.ones_like(mask) for mask in network.masks])
            network.begin(length)
            yield from descend(network, budgets[0], length, self.prunes)
        yield from network.finish(budgets[0], network.steps - cycling)
