"""What the baselines share: a dense ReLU network without biases and its training by Adam."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.compact import Part, compact
from mlpiht_cli.baselines.networks import TorchNetwork, TrainedNetwork
from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.method import Callback, Method, Precision, Shape, finite, torch_dtype
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import compiled, threads_for
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor

    Optimiser = Callable[[list[Tensor], float], torch.optim.Optimizer]
    """Makes an optimiser of parameters, with a step size."""


def layer_sizes(d: int, k: int, shape: Shape) -> list[int]:
    """Widths from input to output: ``depth`` hidden layers of ``m`` neurons."""
    return [d, *[shape.m] * shape.depth, k]


def all_weights(d: int, k: int, shape: Shape) -> int:
    """Number of weights of all layers."""
    return sum(a * b for a, b in pairwise(layer_sizes(d, k, shape)))


def initial_weights(sizes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Initial weights of ``torch.nn.Linear(bias=False)`` layers made input to output, each ``[out, in]``."""
    return [
        torch.nn.init.kaiming_uniform_(torch.empty(out, fan_in), a=math.sqrt(5), generator=generator)
        for fan_in, out in pairwise(sizes)
    ]


def adam(parameters: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """Adam with torch's other defaults."""
    return torch.optim.Adam(parameters, lr=lr, fused=True)


def sgd(parameters: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """Plain gradient descent, no momentum."""
    return torch.optim.SGD(parameters, lr=lr, fused=True)


class Trained(Method):
    """A method that trains dense networks by Adam; one run serves every budget."""

    shares_trajectory: ClassVar[bool] = True
    unhinted: ClassVar[frozenset[str]] = frozenset({"dtype"})  # torch trains in float32, and so does the reference code

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(15, ge=1, description="epochs of a training run; imp has one before each prune")
    lr: float = Field(1e-3, gt=0, description="Adam's step size")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """All layers' weights."""
        return all_weights(d, k, shape)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Any problem and depth."""
        return None


class Trainer:
    """Trains a network again and again from the same initial weights, the minibatches going on in their order.

    Attributes
    ----------
    initial
        Initial weights of the layers, each ``[out, in]``.
    history
        Loss before each step, of all runs in a row.
    """

    def __init__(self, problem: Problem, shape: Shape, streams: Streams, batch: int, dtype: Precision) -> None:
        device, kind = problem.x.device, torch_dtype(dtype)
        self._problem = problem.to(device, kind)
        self._features = self._problem.x.T.contiguous() if compiled(device) else None
        self._batches = Batches(self._problem, batch, streams.batch_order())
        drawn = initial_weights(layer_sizes(problem.d, problem.k, shape), streams.initial_weights())
        self.initial = [weight.to(device, kind) for weight in drawn]
        self.history: list[float] = []

    def train(
        self, masks: Sequence[Tensor], epochs: int, lr: float, callback: Callback, optimiser: Optimiser = adam
    ) -> tuple[list[Tensor], str]:
        """Train the masked initial weights with a fresh optimiser.

        Returns
        -------
        tuple
            The weights, and why the training diverged or an empty string.
        """
        with threads_for(self._problem.x.device):
            parts = compact(masks)
            network = self._network(parts)
            reason = self._train(network, epochs, optimiser(network.parameters, lr), callback)
            found = self._weights(parts, masks, network)
        if not reason and not all(bool(torch.isfinite(weight).all()) for weight in found):
            reason = f"the weights left the finite numbers by step {len(self.history)}"
        return found, reason

    def _train(self, network: TrainedNetwork, epochs: int, optimiser: torch.optim.Optimizer, callback: Callback) -> str:
        reason = ""
        losses: list[Tensor | float] = []
        for _ in range(epochs):
            order, spans = self._batches.next_epoch()
            network.shuffle(order)
            for first, last in spans:
                losses.append(network.backward(first, last))
                optimiser.step()
                # A loss that is read makes the host wait for a GPU, so there they are read in one go.
                if self._features is not None:
                    reason = self._read(losses, callback)
                if reason:
                    return reason
        return self._read(losses, callback)

    def _weights(self, parts: list[Part], masks: Sequence[Tensor], network: TrainedNetwork) -> list[Tensor]:
        """All weights of the layers: those of the network, and those that left it as they started."""
        return [
            part.put(start * mask, trained)
            for part, start, mask, trained in zip(parts, self.initial, masks, network.weights(), strict=True)
        ]

    def _network(self, parts: list[Part]) -> TrainedNetwork:
        if self._features is None:
            return TorchNetwork(self._problem, parts, self.initial)
        from mlpiht_cli.baselines.compiled import CompiledNetwork

        return CompiledNetwork(self._problem, parts, self.initial, self._features)

    def _read(self, losses: list[Tensor | float], callback: Callback) -> str:
        """Move losses to the history, up to one that is not finite; return why the training diverged, or nothing."""
        while losses:
            self.history.append(float(losses.pop(0)))
            callback(len(self.history), self.history[-1])
            if not finite(self.history[-1]):
                return f"the training loss became {self.history[-1]} at step {len(self.history)}"
        return ""
