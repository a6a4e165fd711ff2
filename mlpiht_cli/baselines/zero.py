"""The network without weights: every fit should be better than this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from mlpiht_cli.core.fit import Diverged, Events, Reached, Step, finite
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.rng import Streams


class Zero(Method):
    """Predicts 0 (for classes: the first class) for every input. It draws no random numbers.

    The PSNR of such a network is far from 0 dB if the targets have rare peaks, as planted targets have.
    """

    name: ClassVar[str] = "zero"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of all layers."""
        return shape.weights(d, k)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Yield the network without weights; it takes no gradient step."""
        loss = float(LOSSES[problem.loss](torch.zeros_like(problem.y), problem.y))
        if not finite(loss):
            raise Diverged("the data are not finite, or too large")
        yield Step(loss)
        yield Reached(SparseMLP.silent(shape.widths(problem.d, problem.k), problem.x), iterations=0)
