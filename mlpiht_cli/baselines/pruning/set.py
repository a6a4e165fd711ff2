"""SET: sparse evolutionary training, which replaces small weights by random ones after every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.pruning.dynamic import erdos_renyi, random_masks
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining, best
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def without_smallest(weight: Tensor, mask: Tensor, share: float) -> Tensor:
    """Return the mask without the share of smallest positive and of largest negative weights (Mocanu et al., 2018)."""
    stays = torch.zeros_like(mask)
    for side in (mask & (weight > 0), mask & (weight < 0)):
        count = int(side.sum())
        (kept,) = best([weight.abs()], count - round(share * count), [side])
        stays |= kept
    return stays


def evolved(weight: Tensor, mask: Tensor, share: float, draws: np.random.Generator) -> Tensor:
    """Return the mask after an update: :func:`without_smallest`, and as many random entries as are missing.

    Entries that the update drops are no candidates, unless there are no others; weights of exactly 0 are dropped.
    """
    stays = without_smallest(weight, mask, share)
    room = int(mask.sum()) - int(stays.sum())
    order = torch.from_numpy(draws.permutation(mask.numel())).to(mask.device).view_as(mask)
    (new,) = best([order + mask.numel() * ~mask], room, [~stays])
    return stays | new


class SET(SparseTraining, Method):
    """Sparse evolutionary training (Mocanu et al., Scalable training of artificial neural networks, 2018).

    The network begins with an Erdos-Renyi mask, of which each layer's share follows from its size, and always has as
    many weights as the budget. New weights begin at the values of a dense network's start. The last epochs, a quarter
    as in ``rigl``, keep the mask.
    """

    name: ClassVar[str] = "set"
    version: ClassVar[int] = 1

    zeta: float = Field(0.3, ge=0, lt=1, description="share of a layer's weights that an update replaces")
    end: float = Field(0.75, gt=0, le=1, description="share of the steps after which the mask stays")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train a sparse network for one budget."""
        network, draws = SparseNetwork(self, problem, shape, streams), streams.masks()
        shapes = network.shapes
        network.keep(random_masks(shapes, erdos_renyi(shapes, budgets[0]), draws))
        epochs = max(1, round(self.end * self.epochs))
        for _ in range(epochs):
            yield from network.train(network.steps // self.epochs)
            pairs = zip(network.weights, network.masks[: network.counted], strict=False)
            network.regrow([evolved(weight, mask, self.zeta, draws) for weight, mask in pairs])
        yield from network.train(network.steps - epochs * (network.steps // self.epochs))
        yield from network.finish(budgets[0], 0)
