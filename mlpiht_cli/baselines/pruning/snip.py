"""SNIP: prune the initial network by the sensitivity of the loss to each connection, then train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def sensitivity(weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
    """Return ``|g w|``, the effect of each connection on the loss (Lee et al., 2019, eqs. 4 and 5, not normalised)."""
    return [(weight * slope).abs() for weight, slope in zip(weights, gradients, strict=True)]


class SNIP(SparseTraining, Method):
    """Single-shot network pruning (Lee, Ajanthan and Torr, SNIP, ICLR 2019).

    The scores come from one batch and the initial weights. These are the ones of all methods here; the paper scales
    their variance by the width.
    """

    name: ClassVar[str] = "snip"
    version: ClassVar[int] = 1

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Prune before training, then train for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        slopes, step = network.gradients(network.batch())
        yield step
        network.keep_best(sensitivity(network.weights, slopes)[: network.counted], budgets[0])
        yield from network.finish(budgets[0], network.steps)
