"""SynFlow: prune the initial network by synaptic flow, without data and in many small steps, then train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def synaptic_flow(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return ``dR/dw * w`` for ``R = 1^T |W_L| ... |W_1| 1`` (Tanaka et al., 2020, eqs. 1 and 2), in float64.

    The scores of every layer sum to R, and those into a hidden neuron to those out of it.
    """
    sizes = [weight.abs().double() for weight in weights]
    forward = [sizes[0].new_ones(sizes[0].shape[1])]
    for size in sizes[:-1]:
        forward.append(size @ forward[-1])
    back, found = torch.ones_like(sizes[-1][:, 0]), []
    for size, before in zip(reversed(sizes), reversed(forward), strict=True):
        found.append(back[:, None] * size * before)
        back = size.T @ back
    return found[::-1]


class SynFlow(SparseTraining, Method):
    """Iterative synaptic flow pruning (Tanaka et al., Pruning neural networks without any data, NeurIPS 2020).

    The number of weights falls by a constant factor from round to round (the paper's exponential schedule). No round
    uses data, so that rounds are no passes.
    """

    name: ClassVar[str] = "synflow"
    version: ClassVar[int] = 1

    rounds: int = Field(100, ge=1, description="prunes before the training")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Prune before training, then train for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        total = network.kept
        for i in range(1, self.rounds + 1):
            kept = round(total * (min(budgets[0], total) / total) ** (i / self.rounds))
            network.keep_best(synaptic_flow(network.weights)[: network.counted], kept, network.masks)
        yield from network.finish(budgets[0], network.steps)
