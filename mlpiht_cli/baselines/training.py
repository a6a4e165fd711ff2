"""Training that the baselines share: a dense ReLU network without biases, trained by Adam."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.compact import Part, compact
from mlpiht_cli.baselines.networks import TorchNetwork, TrainedNetwork
from mlpiht_cli.baselines.optimisers import Adam, Optimiser
from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.fit import Diverged, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.linalg.gated import compiled
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.baselines.compiled import Samples
    from mlpiht_cli.baselines.optimisers import MakeOptimiser


def initial_weights(sizes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Return the initial weights of ``torch.nn.Linear(bias=False)`` layers, input side first, each ``[out, in]``."""
    return [
        torch.nn.init.kaiming_uniform_(torch.empty(out, fan_in), a=math.sqrt(5), generator=generator)
        for fan_in, out in pairwise(sizes)
    ]


class Training(Settings):
    """Settings of a method that trains a dense network by Adam; one run serves every budget.

    Mixin; list it before ``Method``, because it overrides some of its attributes.
    """

    shares_trajectory: ClassVar[bool] = True
    unhinted: ClassVar[frozenset[str]] = frozenset({"dtype"})  # torch trains in float32, and so does the reference code

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(15, ge=1, description="epochs of a training run; imp has one run before each prune")
    lr: float = Field(1e-3, gt=0, description="Adam's step size")

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of all layers."""
        return shape.weights(d, k)


class Trainer:
    """Trains a network repeatedly from the same initial weights; the stream of minibatches continues between runs.

    Attributes
    ----------
    initial
        Initial weights of the layers, each ``[out, in]``.
    reshuffles
        Whether every epoch has a new order of minibatches. The reference code of P1 draws one order for a run and uses
        it in all its epochs (protocol, section 2).
    batches
        The minibatches, from the seed's stream.
    compiled
        Whether compiled kernels train, which is so on a CPU.
    """

    def __init__(self, problem: Problem, shape: Shape, streams: Streams, batch: int, reshuffles: bool = False) -> None:
        self.reshuffles = reshuffles
        device, dtype = problem.x.device, problem.x.dtype
        self._problem = problem
        self.compiled = compiled(device)
        self._samples: Samples | None = None
        self.batches = Batches(problem, batch, streams.batch_order())
        drawn = initial_weights(shape.widths(problem.d, problem.k), streams.initial_weights())
        self.initial = [weight.to(device, dtype) for weight in drawn]
        self._steps = 0

    def train(
        self, masks: Sequence[Tensor], epochs: int, lr: float, optimiser: MakeOptimiser = Adam
    ) -> Generator[Step, None, list[Tensor]]:
        """Train the masked initial weights with a fresh optimiser; yield each step and return the weights.

        Raises
        ------
        Diverged
            The weights are not finite after the training.
        """
        parts = compact(masks)
        network = self.network(parts, self.initial)
        yield from self._train(network, epochs, optimiser(network.parameters, lr))
        found = self._weights(parts, masks, network)
        if not all(bool(torch.isfinite(weight).all()) for weight in found):
            raise Diverged(f"the weights left the finite numbers by step {self._steps}")
        return found

    def _train(self, network: TrainedNetwork, epochs: int, optimiser: Optimiser) -> Iterator[Step]:
        losses: list[Tensor | float] = []
        for epoch in range(epochs):
            if epoch == 0 or self.reshuffles:
                order, spans = self.batches.next_epoch()
                network.arrange(order, spans)
            for first, last in spans:
                losses.append(network.backward(first, last))
                optimiser.step()
                self._steps += 1
                # The host waits for a GPU when it reads a loss, so losses on a GPU are read together at the end.
                if self.compiled:
                    yield Step(float(losses.pop()), share=(last - first) / self._problem.n)
        yield from (Step(float(loss), share=1.0 / self.batches.per_epoch) for loss in losses)

    def _weights(self, parts: list[Part], masks: Sequence[Tensor], network: TrainedNetwork) -> list[Tensor]:
        """Return all weights of the layers: trained ones of the network, initial ones of removed neurons."""
        return [
            part.put(start * mask, trained)
            for part, start, mask, trained in zip(parts, self.initial, masks, network.weights(), strict=True)
        ]

    def network(self, parts: Sequence[Part], weights: Sequence[Tensor]) -> TrainedNetwork:
        """Return the network of the parts with the given weights of all layers, each ``[out, in]``."""
        if not self.compiled:
            return TorchNetwork(self._problem, parts, weights)
        from mlpiht_cli.baselines.compiled import CompiledNetwork, Samples

        self._samples = self._samples or Samples(self._problem)
        return CompiledNetwork(self._problem, parts, weights, self._samples)
