"""RigL: the rigged lottery, which drops small weights and grows those of largest gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mlpiht_cli.baselines.pruning.dynamic import cosine_share, erdos_renyi, grown, random_masks
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining, best
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


class RigL(SparseTraining, Method):
    """The rigged lottery (Evci et al., Making all tickets winners, ICML 2020, algorithm 1).

    The network begins with a random mask, of which each layer's share follows from its size (Erdos-Renyi), and always
    has as many weights as the budget. Every ``interval`` steps a share of each layer's weights, the smallest, gives way
    to the weights of largest gradient on the next batch; the share falls along half a cosine until ``end``. New weights
    begin at 0.
    """

    name: ClassVar[str] = "rigl"
    version: ClassVar[int] = 1

    interval: int = Field(100, ge=1, description="steps between updates of the mask")
    alpha: float = Field(0.3, ge=0, lt=1, description="share of a layer's weights that the first update replaces")
    end: float = Field(0.75, gt=0, le=1, description="share of the steps after which the mask stays")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train a sparse network for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        network.keep(random_masks(network.shapes, erdos_renyi(network.shapes, budgets[0]), streams.masks()))
        end = round(self.end * network.steps)
        done = 0
        while done + self.interval <= end:
            yield from network.train(self.interval)
            done += self.interval
            slopes, step = network.gradients(network.batch())
            yield step
            self._update(network, slopes, cosine_share(done, end, self.alpha))
        yield from network.train(network.steps - done)
        yield from network.finish(budgets[0], 0)

    def _update(self, network: SparseNetwork, slopes: Sequence[Tensor], share: float) -> None:
        masks = []
        for weight, mask, slope in zip(network.weights, network.masks[: network.counted], slopes, strict=False):
            count = int(mask.sum())
            (stays,) = best([weight.abs()], count - round(share * count), [mask])
            masks.append(grown(mask, stays, slope))
        network.keep(masks)
