"""What the baselines share: a dense ReLU network without biases and its training by Adam."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mlpiht_cli.batches import Batches
from mlpiht_cli.method import DTYPES, Callback, Method, Shape, finite
from mlpiht_cli.problem import LOSSES, Problem
from mlpiht_cli.rng import Streams


def layer_sizes(d: int, k: int, shape: Shape) -> list[int]:
    """Widths from input to output: ``depth`` hidden layers of ``m`` neurons."""
    return [d, *[shape.m] * shape.depth, k]


def initial_weights(sizes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Initial weights of ``torch.nn.Linear(bias=False)`` layers made input to output, each ``[out, in]``."""
    return [
        torch.nn.init.kaiming_uniform_(torch.empty(out, fan_in), a=math.sqrt(5), generator=generator)
        for fan_in, out in pairwise(sizes)
    ]


class Trained(Method):
    """A method that trains dense networks by Adam; one run serves every budget."""

    shares_trajectory: ClassVar[bool] = True
    unhinted: ClassVar[frozenset[str]] = frozenset({"dtype"})  # torch trains in float32, and so does the reference code

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(15, ge=1, description="epochs of a training run; imp has one before each prune")
    lr: float = Field(1e-3, gt=0, description="Adam's step size")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """All layers' weights."""
        return sum(a * b for a, b in pairwise(layer_sizes(d, k, shape)))

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

    def __init__(self, problem: Problem, shape: Shape, streams: Streams, batch: int, dtype: str) -> None:
        device, kind = problem.x.device, DTYPES[dtype]
        self._problem = problem.to(device, kind)
        self._batches = Batches(self._problem, batch, streams.batch_order())
        drawn = initial_weights(layer_sizes(problem.d, problem.k, shape), streams.initial_weights())
        self.initial = [weight.to(device, kind) for weight in drawn]
        self.history: list[float] = []

    def train(self, masks: Sequence[Tensor], epochs: int, lr: float, callback: Callback) -> tuple[list[Tensor], str]:
        """Train the masked initial weights with a fresh Adam.

        Returns
        -------
        tuple
            The weights, and why the training diverged or an empty string.
        """
        loss_of = LOSSES[self._problem.loss]
        weights = [(start * mask).requires_grad_() for start, mask in zip(self.initial, masks, strict=True)]
        adam = torch.optim.Adam(weights, lr=lr)
        reason = ""
        for _ in range(epochs):
            for x, y in self._batches.epoch():
                adam.zero_grad()
                loss = loss_of(_forward(weights, masks, x), y)
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
                self.history.append(float(loss.detach()))
                callback(len(self.history), self.history[-1])
                if not finite(self.history[-1]):
                    reason = f"the training loss became {self.history[-1]} at step {len(self.history)}"
                    return [weight.detach() for weight in weights], reason
        found = [weight.detach() for weight in weights]
        if not all(bool(torch.isfinite(weight).all()) for weight in found):
            reason = f"the weights left the finite numbers by step {len(self.history)}"
        return found, reason


def _forward(weights: Sequence[Tensor], masks: Sequence[Tensor], x: Tensor) -> Tensor:
    """Output of the masked network, ``[n, k]``."""
    for weight, mask in zip(weights[:-1], masks[:-1], strict=True):
        x = (x @ (weight * mask).T).relu()
    return x @ (weights[-1] * masks[-1]).T
