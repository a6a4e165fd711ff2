"""Pruning by curvature: the network as a weighted graph, whose edges of most negative curvature stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def forman(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the Forman-Ricci curvature of every edge of the network's graph, in float64.

    Neurons are vertices of weight 1 and connections are edges of weight ``|w|``. For an edge e it is
    ``2 - sum sqrt(w_e / w_f)`` over the edges f that share a vertex with e (Sreejith et al., Forman curvature for
    complex networks, 2016, eq. 3, with vertex weights of 1). Edges of weight 0 are not there; theirs is 0.
    """
    roots = [weight.abs().double().sqrt() for weight in weights]
    inverse = [torch.where(root > 0, 1.0 / root, 0.0) for root in roots]
    into = [one.sum(0) for one in inverse]  # at the input side of each layer
    out = [one.sum(1) for one in inverse]
    found = []
    for i, root in enumerate(roots):
        below = into[i] + (out[i - 1] if i else 0.0)
        above = out[i] + (into[i + 1] if i + 1 < len(roots) else 0.0)
        around = below + above[:, None] - 2.0 * inverse[i]
        found.append(torch.where(root > 0, 2.0 - root * around, 0.0))
    return found


class Curvature(SparseTraining, Method):
    """Pruning by Forman-Ricci curvature.

    RicciNets (Glass, Spasov and Lio, 2020) removes edges of a wired network by Ricci curvature before it trains: edges
    of negative curvature are bottlenecks of the flow and stay. This takes the idea to the weighted graph of a
    multilayer network, and Forman's curvature, which has a closed form.
    """

    name: ClassVar[str] = "curvature"
    version: ClassVar[int] = 1

    prune: Literal["before", "after"] = Field(
        "before", description="whether the prune comes before the training, or after a share of the epochs"
    )
    fine_tuning: float = Field(0.5, ge=0, lt=1, description="share of the epochs that come after a late prune")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Prune and train for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        after = network.steps if self.prune == "before" else round(self.fine_tuning * network.steps)
        network.begin(network.steps - after)
        yield from network.train(network.steps - after)
        scores = [-curvature for curvature in forman(network.weights)]
        network.keep_best(scores[: network.counted], budgets[0])
        yield from network.finish(budgets[0], after)
