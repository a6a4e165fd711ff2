"""Iterative magnitude pruning (IMP): train the dense network, prune, rewind, repeat (P1's baseline)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from mlpiht_cli.batches import Batches
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.method import DTYPES, Callback, Fit, Method, Shape, Status, finite, ignore
from mlpiht_cli.model import SparseMLP
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


def prune(weights: Sequence[Tensor], masks: Sequence[Tensor], rate: float) -> list[Tensor]:
    """Drop the share ``rate`` of the remaining weights of all layers together, smallest magnitude first.

    The number is rounded to the nearest integer (halves to even) and is at least one; among equal magnitudes
    the highest position goes first.

    Returns
    -------
    list of Tensor
        New bool masks of the layers' shapes.
    """
    alive = torch.nonzero(torch.cat([mask.flatten() for mask in masks])).flatten()
    magnitude = torch.cat([weight.flatten() for weight in weights])[alive].abs()
    keep = len(alive) - max(1, round(rate * len(alive)))
    flat = torch.zeros(sum(mask.numel() for mask in masks), dtype=torch.bool, device=alive.device)
    if keep:
        # A weight of exactly zero is a weight all the same here, so zeros are lifted above "nothing".
        lifted = magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny)
        flat[alive[top_s(lifted, keep)]] = True
    parts = torch.split(flat, [mask.numel() for mask in masks])
    return [part.view_as(mask) for part, mask in zip(parts, masks, strict=True)]


class IMP(Method):
    """Iterative magnitude pruning with rewinding (lottery ticket), Adam, no biases.

    The paper's protocol scores the network right after a prune, *before* it is trained at that mask
    (``evaluate: after_prune``); the usual lottery-ticket protocol trains first (``after_retrain``).
    Counts ``m (d + k)`` weights, whereas scalar IHT counts ``m d`` fused ones.
    """

    version: ClassVar[int] = 1
    shares_trajectory: ClassVar[bool] = True

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(15, ge=1, description="epochs between two prunes")
    lr: float = Field(1e-3, gt=0, description="Adam's step size")
    rate: float = Field(0.1, gt=0, lt=1, description="share of the remaining weights pruned each round")
    evaluate: Literal["after_prune", "after_retrain"] = Field(
        "after_prune", description="score right after a prune (paper) or after training at that mask (usual)"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """All layers' weights."""
        sizes = layer_sizes(d, k, shape)
        return sum(a * b for a, b in pairwise(sizes))

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Any problem and depth."""
        return None

    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield each budget's network as the one trajectory reaches it, largest budget first."""
        wanted = sorted(set(budgets), reverse=True)
        trajectory = _Trajectory(self, problem, shape, streams, callback)
        while wanted:
            diverged = trajectory.train()
            if diverged or self.evaluate == "after_retrain":
                while wanted and (diverged or trajectory.remaining <= wanted[0]):
                    yield trajectory.fit(wanted.pop(0), diverged)
            if not wanted:
                return
            trajectory.prune()
            if self.evaluate == "after_prune":
                while wanted and trajectory.remaining <= wanted[0]:
                    yield trajectory.fit(wanted.pop(0), diverged)


class _Trajectory:
    """The one run that passes every budget: initial weights, current masks and weights, and the order stream."""

    def __init__(self, method: IMP, problem: Problem, shape: Shape, streams: Streams, callback: Callback) -> None:
        device, dtype = problem.x.device, DTYPES[method.dtype]
        self._method, self._callback = method, callback
        self._problem = problem.to(device, dtype)
        self._batches = Batches(self._problem, method.batch, streams.batch_order())
        drawn = initial_weights(layer_sizes(problem.d, problem.k, shape), streams.initial_weights())
        self._initial = [weight.to(device, dtype) for weight in drawn]
        self._masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self._initial]
        self._weights = self._initial
        self._history: list[float] = []

    @property
    def remaining(self) -> int:
        """Weights that the masks leave."""
        return sum(int(mask.sum()) for mask in self._masks)

    def train(self) -> str:
        """Rewind the survivors, train them with a fresh Adam; return why that diverged, or nothing."""
        loss_of = LOSSES[self._problem.loss]
        pairs = list(zip(self._initial, self._masks, strict=True))
        weights = [(initial * mask).requires_grad_() for initial, mask in pairs]
        adam = torch.optim.Adam(weights, lr=self._method.lr)
        for _ in range(self._method.epochs):
            for x, y in self._batches.epoch():
                adam.zero_grad()
                loss = loss_of(_forward(weights, self._masks, x), y)
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
                value = float(loss.detach())
                self._history.append(value)
                self._callback(len(self._history), value)
                if not finite(value):
                    return f"the training loss became {value} at step {len(self._history)}"
        self._weights = [weight.detach() for weight in weights]
        if not all(bool(torch.isfinite(weight).all()) for weight in self._weights):
            return f"the weights left the finite numbers by step {len(self._history)}"
        return ""

    def prune(self) -> None:
        """Drop the smallest of the remaining weights."""
        self._masks = prune(self._weights, self._masks, self._method.rate)

    def fit(self, budget: int, diverged: str) -> Fit:
        """The network as it stands, for one budget."""
        layers = [
            SparseMatrix.from_dense(torch.zeros_like(weight) if diverged else weight * mask)
            for weight, mask in zip(self._weights, self._masks, strict=True)
        ]
        status = Status.DIVERGED if diverged else Status.OK
        steps = len(self._history)
        return Fit(SparseMLP(tuple(layers)), budget, steps, status, tuple(self._history), diverged)


def _forward(weights: Sequence[Tensor], masks: Sequence[Tensor], x: Tensor) -> Tensor:
    """Output of the masked network, ``[n, k]``."""
    for weight, mask in zip(weights[:-1], masks[:-1], strict=True):
        x = (x @ (weight * mask).T).relu()
    return x @ (weights[-1] * masks[-1]).T
