"""Exchanges: weights of a finished network give way to weights that fit better, with all others moving along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton
from mlpiht_cli.solvers.realloc.prune import Elimination

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 0.3
"""Share of the budget that the first exchange adds."""
GAIN = 0.05
"""Relative fall of the loss below which the next exchange adds half as many weights."""
MOST = 40
"""Largest number of exchanges."""
START = 0.5
"""Share of its best slope that a new one-sparse neuron starts with, for all new ones are fitted together."""


@dataclass(frozen=True)
class Exchange:
    """Add the weights that promise most, fit, eliminate down to the budget, fit again; keep what is better.

    It needs no moments, so it works for few samples and for inputs of any kind: what iterative hard thresholding does
    by single steps along the gradient, with all weights refitted (as CoSaMP does for linear models, Needell and Tropp
    2009) and with optimal brain surgeon in place of the threshold. An exchange adds new inputs of live neurons and,
    where there are fewer than ``m`` neurons, one-sparse neurons.

    Attributes
    ----------
    m, s
        Largest number of neurons and of weights.
    floor
        Loss below which the exchanges stop.
    patience
        Number of exchanges without progress after which they stop, at the latest when one would add no weight.
    """

    m: int
    s: int
    floor: float = 0.0
    patience: int = MOST

    def __call__(self, samples: Samples, blocks: Blocks) -> Iterator[Fitted]:
        """Yield a better network within the limits after each exchange that finds one; the loss never rises."""
        loss, count, left = samples.loss(blocks), max(1, round(SHARE * self.s)), self.patience
        for _ in range(MOST):
            if not (count and left) or loss < self.floor or not len(blocks.weights):
                return
            grown = self.grown(samples, blocks, count + self.s - blocks.nnz)
            wide = GaussNewton(4, floor=self.floor)(samples, grown)
            fitted = GaussNewton(8, gain=0.02, floor=self.floor)(samples, Elimination(0.0, self.s)(wide))
            if not fitted.loss < (1.0 - GAIN) * loss:
                count, left = count // 2, left - 1
            if fitted.loss < loss:
                blocks, loss = fitted.blocks, fitted.loss
                yield fitted

    def grown(self, samples: Samples, blocks: Blocks, count: int) -> Blocks:
        """Return the network with at most ``count`` more places, those that lower the loss most, each alone."""
        gains, steps = (part.flatten() for part in _promises(samples, blocks, samples.residual(blocks)))
        known, d = blocks.support.shape
        chosen = gains.argsort(descending=True)[:count]
        chosen = chosen[gains[chosen] > 0.0]
        support = blocks.support.flatten().clone()
        support[chosen[chosen < known * d]] = True
        wider = replace(blocks, support=support.view(known, d))
        new = chosen[chosen >= known * d][: max(0, self.m - known)]
        weights = blocks.weights.new_zeros(len(new), d)
        weights[torch.arange(len(new)), new % d] = START * steps[new]
        sign = torch.where(new // d - known < 2, 1.0, -1.0).to(weights)
        return wider.joined(Blocks(weights, weights != 0.0, None, None if blocks.outputs is None else sign))


def _promises(samples: Samples, blocks: Blocks, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each place would take from the squared error if it alone were fitted, and the weight it would get.

    Rows are the neurons, then the new one-sparse ones ``relu(x_a)`` and ``relu(-x_a)`` and, if output signs are free,
    their negatives: float64 ``[b + 2, d]`` or ``[b + 4, d]``.
    """
    x, dtype = samples.features, samples.y.dtype
    w = blocks.weights.to(dtype)
    squares = torch.zeros_like(blocks.weights)
    halves = blocks.weights.new_zeros(4, len(x))  # sums of relu(x_a) r and relu(-x_a) r, and of their squares
    for run in tiles(samples.n):
        part, r = x[:, run], residual[run]
        squares += (w @ part > 0).to(dtype) @ part.square().T
        up, down = part.clamp(min=0.0), (-part).clamp(min=0.0)
        halves += torch.stack([up @ r, down @ r, up.square().sum(1), down.square().sum(1)])
    slopes = torch.where(blocks.support, 0.0, samples.slopes(blocks, residual))
    ways = [(halves[0], 1.0), (halves[1], -1.0)]
    if blocks.outputs is not None:
        ways += [(-halves[0], 1.0), (-halves[1], -1.0)]
    new = torch.stack([slope.clamp(min=0.0) for slope, _ in ways])
    size = torch.stack([halves[2], halves[3]] * (len(ways) // 2))
    side = torch.tensor([side for _, side in ways], device=new.device, dtype=new.dtype)
    every, all_squares = torch.cat([slopes, new]), torch.cat([squares, size]).clamp(min=1e-30)
    steps = every / all_squares
    steps[len(slopes) :] *= side[:, None]
    return every.square() / all_squares, steps
