"""Gradual magnitude pruning (GMP): the number of weights falls along a cubic while the network trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


def cubic(share: float, total: int, budget: int) -> int:
    """Return how many of ``total`` weights are left after a share of the schedule (Zhu and Gupta, 2017, eq. 1).

    The sparsity rises as ``s_f + (s_i - s_f) (1 - share)^3``, here from 0 to that of the budget.
    """
    return budget + round((total - budget) * (1.0 - share) ** 3)


def descend(network: SparseNetwork, budget: int, steps: int, prunes: int) -> Iterator[Step]:
    """Train for ``steps`` steps and prune to the budget by magnitude meanwhile, along the cubic from all weights."""
    total, done = network.total, 0
    for i in range(1, prunes + 1):
        until = round(steps * i / prunes)
        yield from network.train(until - done)
        done = until
        network.keep_best(network.magnitudes(), cubic(i / prunes, total, min(budget, total)), network.masks)


class GMP(SparseTraining, Method):
    """Gradual magnitude pruning (Zhu and Gupta, To prune, or not to prune, 2017).

    Pruned weights do not return. The paper begins after some training and prunes every 100 steps or more; here the
    schedule begins with the training, and both its length and its prunes are in proportion to the training.
    """

    name: ClassVar[str] = "gmp"
    version: ClassVar[int] = 1

    prunes: int = Field(50, ge=1, description="number of prunes, evenly spaced")
    end: float = Field(0.75, gt=0, le=1, description="share of the steps in which it prunes")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train and prune for one budget; one schedule of the step size covers both phases."""
        network = SparseNetwork(self, problem, shape, streams)
        pruning = round(self.end * network.steps)
        yield from descend(network, budgets[0], pruning, self.prunes)
        yield from network.train(network.steps - pruning)
        yield from network.finish(budgets[0], 0)
