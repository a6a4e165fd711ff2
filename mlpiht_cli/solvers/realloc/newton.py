"""Gauss-Newton on a fixed support: gates follow the weights from step to step; a step must lower the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import gram, tiles
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples

if TYPE_CHECKING:
    from torch import Tensor

TILE_NUMBERS = 2**21  # size of the columns of a tile: 8 MB in float32
LEAST_SAMPLES = 10_000  # fewest samples for a sampled curvature
SAMPLES_PER_WEIGHT = 20  # samples per weight for a sampled curvature: its error is then a few tenths
DAMPING = (1e-9, 1e-6)  # least and first damping, relative to the diagonal
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
    """

    hessian: Tensor
    gradient: Tensor
    loss: float


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
    for run in tiles(samples.n, max(256, min(4096, TILE_NUMBERS // max(size, 1)))):
        if seen >= curvature:
            break
        hessian += gram(samples.columns(blocks, run))
        seen = run.stop
    return Quadratic(hessian.mul_(samples.n / max(seen, 1)), gradient, loss)


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
        diagonal = at.hessian.diagonal()
        floor = 1e-12 * float(diagonal.mean()) + 1e-30
        for _ in range(TRIES):
            damped = at.hessian + torch.diag(damping * diagonal + floor)
            factor, info = torch.linalg.cholesky_ex(damped)
            if int(info) == 0:
                moved = blocks.moved(torch.cholesky_solve(at.gradient[:, None], factor)[:, 0])
                loss = samples.loss(moved)
                if loss < at.loss:
                    return Fitted(moved, loss, at), max(damping / 10.0, DAMPING[0])
            damping *= 10.0
        return None
