"""One-shot magnitude pruning: train the dense network, prune it once, and fine-tune what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


class Magnitude(SparseTraining, Method):
    """One-shot magnitude pruning (Han et al., Learning both weights and connections, NeurIPS 2015, section 3).

    A dense network is trained, its weights of least magnitude are pruned at once, of all layers together, and the rest
    is trained on with its values. ``fine_tuning: 0`` scores the network right after the prune.
    """

    name: ClassVar[str] = "magnitude"
    version: ClassVar[int] = 1

    fine_tuning: float = Field(0.5, ge=0, lt=1, description="share of the epochs that come after the prune")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train, prune and fine-tune for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        after = round(self.fine_tuning * network.steps)
        network.begin(network.steps - after)
        yield from network.train(network.steps - after)
        yield from network.finish(budgets[0], after)
