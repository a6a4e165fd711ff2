"""The plain yardstick of IMP: the protocol in ordinary torch, with autograd and ``torch.optim.Adam`` on dense weights.

This is the usual way to write it: masks multiply dense weights, so a pruned network costs as much as a full one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks import clock
from benchmarks.clock import Seconds
from mlpiht_cli.baselines.training import initial_weights
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


@dataclass(frozen=True)
class PlainIMP:
    """Settings: width ``m``, budget ``s``, the constants of the paper; ``rounds`` limits the rounds of a timed run."""

    m: int
    s: int
    epochs: int = 15
    rate: float = 0.1
    lr: float = 1e-3
    rounds: int | None = None

    def steps(self, total: int) -> int:
        """Return the number of full-batch Adam steps from ``total`` weights down to the budget."""
        rounds, left = 0, total
        while left > self.s:
            left -= dropped(left, total, self.rate)
            rounds += 1
        return rounds * self.epochs


def dropped(left: int, total: int, rate: float) -> int:
    """Return how many of the ``left`` weights a round drops: the share ``1 - ((1 - rate) N) / N``, or else one."""
    share = 1 - ((1 - rate) * total) / total
    return round(share * left) or 1


def imp_autograd(x: Tensor, y: Tensor, run: PlainIMP, streams: Streams) -> tuple[list[Tensor], list[Seconds]]:
    """Train, prune, rewind until at most ``s`` weights are left; one hidden layer, squared loss, full batch.

    Parameters
    ----------
    x, y
        Inputs ``[n, d]`` and targets ``[n, k]``; the training uses their dtype.
    run
        Settings.
    streams
        Streams that draw the initial weights.

    Returns
    -------
    tuple
        Weights of the layers right after the prune that answers the budget, each ``[out, in]``, and the seconds of
        each Adam step.
    """
    sizes = Shape(run.m).widths(x.shape[1], y.shape[1])
    start = [weight.to(x.dtype) for weight in initial_weights(sizes, streams.initial_weights())]
    masks = [torch.ones_like(weight) for weight in start]
    weights, taken, rounds = start, [], 0
    while sum(int(mask.sum()) for mask in masks) > run.s and rounds != run.rounds:
        weights = [(w * mask).requires_grad_() for w, mask in zip(start, masks, strict=True)]
        adam = torch.optim.Adam(weights, lr=run.lr)
        for _ in range(run.epochs):
            began = clock.now()
            adam.zero_grad()
            hidden = torch.relu(x @ (weights[0] * masks[0]).T)
            loss = torch.nn.functional.mse_loss(hidden @ (weights[1] * masks[1]).T, y)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            taken.append(clock.since(began))
        masks = _pruned([w.detach() for w in weights], masks, run.rate)
        rounds += 1
    return [w.detach() * mask for w, mask in zip(weights, masks, strict=True)], taken


def _pruned(weights: list[Tensor], masks: list[Tensor], rate: float) -> list[Tensor]:
    """Drop about the share ``rate`` of the remaining weights, smallest magnitude first, of all layers together."""
    flat = torch.cat([mask.flatten() for mask in masks])
    alive = flat.nonzero().flatten()
    magnitude = torch.cat([weight.flatten() for weight in weights])[alive].abs()
    order = torch.argsort(magnitude, descending=True, stable=True)
    flat[alive[order[len(alive) - dropped(len(alive), len(flat), rate) :]]] = 0
    parts = torch.split(flat, [mask.numel() for mask in masks])
    return [part.view_as(mask) for part, mask in zip(parts, masks, strict=True)]


def model(layers: list[Tensor]) -> SparseMLP:
    """Return the network of the layers, each ``[out, in]``."""
    return SparseMLP(tuple(SparseMatrix.from_dense(layer) for layer in layers))
