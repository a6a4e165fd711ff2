"""Gauss-Newton on a fixed support: gates follow the weights from step to step; a step must lower the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import gram, tiles
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.wedges import Wedges

if TYPE_CHECKING:
    from torch import Tensor

TILE_NUMBERS = 2**21  # size of the columns of a tile: 8 MB in float32
LEAST_SAMPLES = 10_000  # fewest samples for a sampled curvature
SAMPLES_PER_WEIGHT = 20  # samples per weight for a sampled curvature: its error is then a few tenths
DAMPING = (1e-9, 1e-6)  # least and first damping, relative to the diagonal
TURNS = 3  # times that a step is solved again because one-sparse neurons would turn
LEFT = 1e-3  # share of its weight that is left to a one-sparse neuron that would turn
TRIES = 12  # dampings tried for a step, each ten times the previous one


@dataclass(frozen=True)
class Quadratic:
    """The squared error at fixed gates, ``loss - 2 g . v / n + v^T H v / n`` for a step v.

    Attributes
    ----------
    hessian, gradient
        ``A^T A`` and ``A^T r`` for the support's entries and the skip connection, float64 ``[k, k]`` and ``[k]``.
    loss
        Mean squared error.
    diagonal
        What damping is relative to: the diagonal of the Hessian, and that of the wedges.
    wedges
        Columns that the damping and the precision of the Hessian are relative to.
    """

    hessian: Tensor
    gradient: Tensor
    loss: float
    diagonal: Tensor
    wedges: Wedges

    def damped(self, damping: float, wedged: bool = True) -> Tensor:
        """Return the Hessian with a share of the diagonal added, in the coordinates of the wedges or of the weights."""
        floor = 1e-12 * float(self.diagonal.mean()) + 1e-30
        if not wedged:
            return self.hessian + torch.diag(damping * self.hessian.diagonal() + floor)
        share = damping * self.diagonal
        share[self.wedges.plain] += floor
        return self.hessian + self.wedges.undone(torch.diag(share))


@dataclass(frozen=True)
class Fitted:
    """A network, its loss, and the quadratic of the last step that led to it."""

    blocks: Blocks
    loss: float
    quadratic: Quadratic


def quadratic(samples: Samples, blocks: Blocks, curvature: int) -> Quadratic:
    """Linearise the network; the gradient uses all samples, the Hessian the first ``curvature`` samples."""
    gradient, loss = samples.gradient(blocks)
    size, seen = len(gradient), 0
    hessian = torch.zeros(size, size, dtype=torch.float64, device=gradient.device)
    wedges = Wedges.of(blocks)
    for run in tiles(samples.n, max(256, min(4096, TILE_NUMBERS // max(size, 1)))):
        if seen >= curvature:
            break
        hessian += gram(wedges.done(samples.columns(blocks, run)))
        seen = run.stop
    samples.tally.add(seen)
    hessian.mul_(samples.n / max(seen, 1))
    inside = hessian.diagonal().clone()
    hessian = wedges.undone(hessian)
    diagonal = hessian.diagonal().clone()
    at = wedges.first
    # A share moves by about its own size at most, if the misfit is noise.
    prior = loss / blocks.weights[blocks.support][at].square().clamp(min=1e-30) / DAMPING[1]
    diagonal[at] = torch.minimum(diagonal[at], inside[at] + prior)
    return Quadratic(hessian, gradient, loss, diagonal, wedges)


@dataclass(frozen=True)
class GaussNewton:
    """Gauss-Newton steps with Marquardt's damping.

    Attributes
    ----------
    rounds
        Largest number of steps.
    gain
        Least relative fall of the loss for another step.
    floor
        Loss below which the steps stop.
    sampled
        Whether the curvature uses only a part of the samples; the gradient always uses all.
    """

    rounds: int
    gain: float = 0.05
    floor: float = 0.0
    sampled: bool = True

    def __call__(self, samples: Samples, blocks: Blocks) -> Fitted:
        """Fit the weights on the support; the loss never rises."""
        damping = DAMPING[1]
        size = blocks.nnz + (0 if blocks.skip is None else len(blocks.skip))
        curvature = max(LEAST_SAMPLES, SAMPLES_PER_WEIGHT * size) if self.sampled else samples.n
        for _ in range(self.rounds):
            at = quadratic(samples, blocks, curvature)
            step = self._step(samples, blocks, at, damping)
            if step is None:
                return Fitted(blocks, at.loss, at)
            found, damping = step
            blocks = found.blocks
            if found.loss < self.floor or found.loss > (1.0 - self.gain) * at.loss:
                break
        return found

    def _step(self, samples: Samples, blocks: Blocks, at: Quadratic, damping: float) -> tuple[Fitted, float] | None:
        """Return one accepted step and the next damping, or None if no step lowers the loss."""
        for _ in range(TRIES):
            damped = at.damped(damping)
            factor, info = torch.linalg.cholesky_ex(damped)
            if int(info):  # more weights than samples, or no samples between two gates
                damped = at.damped(damping, wedged=False)
                factor, info = torch.linalg.cholesky_ex(damped)
            if int(info) == 0:
                step = torch.cholesky_solve(at.gradient[:, None], factor)[:, 0]
                moved = blocks.moved(held(blocks, damped, at.gradient, step))
                loss = samples.loss(moved)
                if loss < at.loss:
                    return Fitted(moved, loss, at), max(damping / 10.0, DAMPING[0])
            damping *= 10.0
        return None


def held(blocks: Blocks, matrix: Tensor, gradient: Tensor, step: Tensor) -> Tensor:
    """Return a step that turns no one-sparse neuron round: such a neuron is nearly switched off, and the others adjust.

    At fixed gates a one-sparse neuron may get any weight; the neuron with the opposite weight is another one, with a
    different value for every sample.
    """
    row = blocks.support.nonzero()[:, 0]
    single = blocks.support.sum(1)[row] == 1
    weights = blocks.weights[blocks.support]
    off = weights.sign() * (LEFT * weights.abs()).clamp(min=1e-9)
    fixed = torch.zeros_like(step, dtype=torch.bool)
    for _ in range(TURNS):
        crossing = single & (weights * (weights + step[: len(weights)]) <= 0.0) & ~fixed[: len(weights)]
        if not bool(crossing.any()):
            break
        fixed[: len(weights)] |= crossing
        free = ~fixed
        step = torch.zeros_like(step)
        step[: len(weights)] = torch.where(fixed[: len(weights)], off - weights, 0.0)
        right = (gradient - matrix @ step)[free]
        factor = torch.linalg.cholesky_ex(matrix[free][:, free])[0]
        step[free] = torch.cholesky_solve(right[:, None], factor)[:, 0]
    return step
