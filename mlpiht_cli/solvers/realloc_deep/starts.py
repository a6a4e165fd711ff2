"""Dense starts: wide networks on the relevant inputs, fitted with Adam, whose small weights then fall away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.solvers.realloc.limits import Limits

Z_INPUT = 4.0  # an input is relevant if a moment with the targets is this many standard errors from zero
Z_PAIR = 4.7  # the same for moments of pairs, of which there are more
WIDER = 3.0  # a start is this many times as wide as a random network of the budget
BATCH = 500
RATE = 5e-3
PENALTY = 1e-3  # of absolute weights, for targets of mean square 1; it falls to 0
PENALISED = 0.5  # share of the steps until it is 0
CONSTANT = 0.4  # share of the steps with the full rate; it falls as a cosine afterwards
WORK = 2.5e8  # multiplications of a step that limit the number of starts that run together
DECAY = (0.9, 0.99)


def relevant_inputs(samples: DeepSamples, residual: Tensor) -> Tensor:
    """Return the inputs whose first or second moments with the residual are not zero, bool ``[d]``."""
    x = samples.features
    size = x.square().mean(1).sqrt().clamp(min=1e-30)
    r = residual - residual.mean()
    r = r / r.square().mean().sqrt().clamp(min=1e-30)
    first, second = torch.zeros_like(size), torch.zeros(len(x), len(x), dtype=x.dtype, device=x.device)
    for run in tiles(samples.n):
        z = x[:, run] / size[:, None]
        first += z @ r[run]
        second += (z * r[run]) @ z.T
    root = math.sqrt(samples.n)
    alone, pairs = second.diagonal().abs() / (math.sqrt(2.0) * root), second.abs() / root
    pairs.fill_diagonal_(0.0)
    found: Tensor = (torch.maximum(first.abs() / root, alone) > Z_INPUT) | (pairs > Z_PAIR).any(1)
    return found


def used_neurons(limits: Limits) -> tuple[float, float]:
    """Return how many neurons of both layers tell in a random network of the limits, half of its weights in each layer.

    A first-layer neuron tells if it has weights on both sides, a second-layer neuron if it has weights of both signs.
    """
    share = limits.s / (2.0 * limits.m)
    live = 1.0 - math.exp(-share)
    return limits.m * live**2, limits.m * (1.0 - math.exp(-share * live / 2.0)) ** 2


class _Widths(NamedTuple):
    """Number of networks, of neurons in both layers, and of inputs."""

    networks: int
    first: int
    second: int
    inputs: int


class _Weights:
    """Weights of several dense networks, and Adam's averages of their gradients."""

    def __init__(self, widths: _Widths, draws: np.random.Generator, like: Tensor) -> None:
        count, h, q, p = widths
        shapes = ((count, h, p), (count, q, h), (count, 1, h))
        deviations = (1.0 / math.sqrt(p), 1.0 / math.sqrt(h), 0.1)
        self.parts = [
            torch.from_numpy(deviation * draws.standard_normal(shape)).to(like)
            for shape, deviation in zip(shapes, deviations, strict=True)
        ]
        self._means = [torch.zeros_like(part) for part in self.parts]
        self._squares = [torch.zeros_like(part) for part in self.parts]
        self._steps = 0

    def step(self, x: Tensor, y: Tensor, rate: float, penalty: float) -> Tensor:
        """Take a step on a batch; return the mean squared error of each network before it."""
        w, v, t = self.parts
        count, h, p = w.shape
        hidden = (w.reshape(count * h, p) @ x).reshape(count, h, -1).clamp_(min=0.0)
        inner = torch.bmm(v, hidden)
        opened = (inner > 0).to(x.dtype)
        rest = inner.clamp_(min=0.0).sum(1, keepdim=True) + torch.bmm(t, hidden) - y
        loss = rest.square().mean((1, 2))
        rest *= 2.0 / len(y)
        slope = (torch.bmm(v.transpose(1, 2), opened) + t.transpose(1, 2)) * (hidden > 0) * rest
        first = (slope.reshape(count * h, -1) @ x.T).reshape(w.shape)
        back = hidden.transpose(1, 2)
        self._descend((first, torch.bmm(opened * rest, back), torch.bmm(rest, back)), rate, penalty)
        return loss

    def _descend(self, gradients: tuple[Tensor, Tensor, Tensor], rate: float, penalty: float) -> None:
        self._steps += 1
        one, two = (1.0 - decay**self._steps for decay in DECAY)
        for part, gradient, mean, square in zip(self.parts, gradients, self._means, self._squares, strict=True):
            pulled = gradient.add(part.sign(), alpha=penalty)
            mean.mul_(DECAY[0]).add_(pulled, alpha=1.0 - DECAY[0])
            square.mul_(DECAY[1]).addcmul_(pulled, pulled, value=1.0 - DECAY[1])
            part.addcdiv_(mean, (square / two).sqrt_().add_(1e-8), value=-rate / one)


@dataclass(frozen=True)
class DenseStarts:
    """Fits several dense networks at once: all weights free, the absolute ones penalised until near the end.

    Attributes
    ----------
    limits
        The limits of the answer.
    steps
        Steps of Adam, on batches of ``BATCH`` samples.
    count
        Networks; fewer if they are large.
    """

    limits: Limits
    steps: int
    count: int

    def __call__(self, samples: DeepSamples, inputs: Tensor, draws: np.random.Generator) -> list[Deep]:
        """Return the networks on ``inputs`` (bool ``[d]``), the best first; targets have a mean square of about 1."""
        columns = inputs.nonzero()[:, 0]
        weights = _Weights(self._widths(len(columns)), draws, samples.y)
        losses = []
        for k, (x, y) in enumerate(self._batches(samples, columns, draws)):
            done = k / self.steps
            late = max(0.0, (done - CONSTANT) / (1.0 - CONSTANT))
            rate = RATE * min(1.0, (k + 1) / 50.0) * (0.5 + 0.5 * math.cos(math.pi * late) + 1e-3)
            losses.append(weights.step(x, y, rate, PENALTY * max(0.0, 1.0 - done / PENALISED)))
        last = torch.stack(losses[-100:]).mean(0)
        found = []
        for i in last.argsort().tolist():
            w, v, t = (part[i].double() for part in weights.parts)
            first = w.new_zeros(len(w), len(inputs))
            first[:, columns] = w
            found.append(Deep(first, v, t[0]))
        return found

    def _widths(self, inputs: int) -> _Widths:
        h, q = (math.ceil(WIDER * count) + 3 for count in used_neurons(self.limits))
        one = 3.0 * BATCH * h * (inputs + q)
        return _Widths(max(1, min(self.count, int(WORK / one))), h, q, inputs)

    def _batches(
        self, samples: DeepSamples, columns: Tensor, draws: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the inputs and targets of each step; every sample once before any is twice."""
        batch, taken = min(BATCH, samples.n), samples.n
        for _ in range(self.steps):
            if taken + batch > samples.n:
                order = torch.from_numpy(draws.permutation(samples.n)).to(samples.y.device)
                x, y, taken = samples.features[columns][:, order], samples.y[order], 0
            yield x[:, taken : taken + batch], y[taken : taken + batch]
            taken += batch
