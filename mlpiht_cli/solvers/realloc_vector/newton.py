"""Gauss-Newton over hidden and output weights together; the linear part is solved for inside each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import gram, tiles
from mlpiht_cli.solvers.realloc.newton import DAMPING, LEAST_SAMPLES, SAMPLES_PER_WEIGHT, TILE_NUMBERS, TRIES
from mlpiht_cli.solvers.realloc_vector.network import Neurons, Sums, VectorSamples

if TYPE_CHECKING:
    from torch import Tensor

SPREAD = 1e-8  # least ratio of the mean squared errors of two outputs that weights tell apart


def factored(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor of a matrix, with as little added to its diagonal as it takes."""
    diagonal = matrix.diagonal().clamp(min=1e-3 * float(matrix.diagonal().mean()) + 1e-30)
    for power in range(-9, 3):
        factor, info = torch.linalg.cholesky_ex(matrix + torch.diag(10.0**power * diagonal))
        if int(info) == 0:
            break
    found: Tensor = factor
    return found


def weights_of(losses: Tensor, floor: float) -> Tensor:
    """Return the inverse mean squared error of each output, not above that of the floor, ``[k]``."""
    return 1.0 / losses.clamp(min=max(floor, SPREAD * float(losses.max()), 1e-300))


@dataclass(frozen=True)
class Linear:
    """What is left of the linear part: a step in ``u`` and ``a`` decides the best step of C.

    Attributes
    ----------
    factor
        Cholesky factor of ``X X^T``, float64 ``[d, d]``.
    cross
        ``X Z^T`` with the columns ``Z = 1[u_j . x > 0] x_a`` of the support, ``[d, p]``.
    free
        Step of C if ``u`` and ``a`` stay, ``[d, k]``.
    """

    factor: Tensor
    cross: Tensor
    free: Tensor


@dataclass(frozen=True)
class Joint:
    """The squared error, outputs weighted, near a network, with the linear part solved for.

    Parameters are the entries of ``u`` but the pivots, row by row, then the entries of ``a``.

    Attributes
    ----------
    at
        The network, its rows ``u_j`` with a largest entry of one, which is the pivot.
    pivots
        bool ``[b, d]``. Without fixed entries a neuron's scale would be free to move between ``u`` and ``a``, and
        removing an entry would cost nothing.
    hessian, gradient
        float64 ``[p, p]`` and ``[p]``.
    losses, weight
        Mean squared error and weight of each output, ``[k]``.
    linear
        The linear part; None if the network has none.
    """

    at: Neurons
    pivots: Tensor
    hessian: Tensor
    gradient: Tensor
    losses: Tensor
    weight: Tensor
    linear: Linear | None

    @property
    def inner(self) -> Tensor:
        """Places of ``u`` that are parameters, bool ``[b, d]``."""
        return self.at.support & ~self.pivots

    def values(self, at: Neurons) -> Tensor:
        """Return the parameters of a network with the same supports and pivots."""
        return torch.cat([at.hidden[self.inner], at.output[self.at.used]])

    def with_values(self, values: Tensor) -> Neurons:
        """Return the network with these parameters, and the linear part that fits best to first order."""
        inner, at = self.inner, self.at
        split = int(inner.sum())
        hidden, output = at.hidden.clone(), at.output.clone()
        hidden[inner], output[at.used] = values[:split], values[split:]
        skip = None if at.skip is None else at.skip + self._linear_step(hidden - at.hidden, output - at.output)
        return replace(at, hidden=hidden, output=output, skip=skip)

    def _linear_step(self, hidden: Tensor, output: Tensor) -> Tensor:
        assert self.linear is not None, "only a network with a linear part asks"
        at, cross = self.at, self.linear.cross
        row = at.support.nonzero(as_tuple=True)[0]
        change = at.output[row] * hidden[at.support][:, None] + at.hidden[at.support][:, None] * output[row]
        return self.linear.free - torch.cholesky_solve(cross @ change, self.linear.factor)


def joint(samples: VectorSamples, blocks: Neurons, curvature: int, weight: Tensor) -> Joint:
    """Linearise a network; the gradient uses all samples, the curvature the first ``curvature`` samples."""
    at = blocks.scaled()
    sums = samples.sums(at, weight)
    products, size = _products(samples, at, curvature), int(at.support.sum())
    gradient, linear = _without_linear(at, products, sums, weight)
    pivots = at.pivots()
    hessian = _hessian(at, pivots, products[:size, :size], weight)
    flat = torch.cat([gradient[0][at.support & ~pivots], gradient[1][at.used]])
    return Joint(at, pivots, hessian, flat, sums.losses, weight, linear)


def _products(samples: VectorSamples, at: Neurons, curvature: int) -> Tensor:
    """Return the Gram matrix of the columns Z of the support and, with a linear part, the inputs."""
    row, col = at.support.nonzero(as_tuple=True)
    u = at.hidden.to(samples.y.dtype)
    size, seen = len(row) + (0 if at.skip is None else len(samples.features)), 0
    total = torch.zeros(size, size, dtype=torch.float64, device=u.device)
    for run in tiles(samples.n, max(256, min(4096, TILE_NUMBERS // max(size, 1)))):
        if seen >= curvature:
            break
        x = samples.features[:, run]
        columns = x[col] * (u @ x > 0).to(x.dtype)[row]
        total += gram(columns if at.skip is None else torch.cat([columns, x]))
        seen = run.stop
    samples.tally.add(seen)
    return total.mul_(samples.n / max(seen, 1))


def _without_linear(
    at: Neurons, products: Tensor, sums: Sums, weight: Tensor
) -> tuple[tuple[Tensor, Tensor], Linear | None]:
    """Take the inputs out of the columns, in place, and out of the gradients."""
    if at.skip is None:
        return (sums.hidden, sums.output), None
    size = int(at.support.sum())
    factor = factored(products[size:, size:])
    cross = products[size:, :size]
    half = torch.linalg.solve_triangular(factor, cross, upper=False)
    free = torch.cholesky_solve(sums.linear / weight, factor)
    moved = cross.T @ (free * weight)  # [p, k]
    row = at.support.nonzero(as_tuple=True)[0]
    hidden, output = sums.hidden.clone(), sums.output.clone()
    hidden[at.support] -= (moved * at.output[row]).sum(1)
    output.index_add_(0, row, -moved * at.hidden[at.support][:, None])
    linear = Linear(factor, cross.clone(), free)
    products[:size, :size] -= half.T @ half
    return (hidden, output), linear


def _hessian(at: Neurons, pivots: Tensor, products: Tensor, weight: Tensor) -> Tensor:
    """Return the curvature in the parameters from the Gram matrix ``[p, p]`` of the support's columns."""
    row = at.support.nonzero(as_tuple=True)[0]
    inner = ~pivots[at.support]
    neuron, output = at.used.nonzero(as_tuple=True)
    add = products.new_zeros(at.count, len(row))
    add[row, torch.arange(len(row))] = at.hidden[at.support]  # activations are these sums of columns
    active = add @ products
    both = active @ add.T
    rows = row[inner]
    mixed = (at.output * weight) @ at.output.T
    uu = products[inner][:, inner] * mixed[rows][:, rows]
    ua = active[neuron][:, inner].T * (at.output[rows][:, output] * weight[output])
    aa = both[neuron][:, neuron] * ((output[:, None] == output) * weight[output])
    return torch.cat([torch.cat([uu, ua], 1), torch.cat([ua.T, aa], 1)])


@dataclass(frozen=True)
class VectorFitted:
    """A network, the mean squared error of each output, and the quadratic of the last step that led to it."""

    blocks: Neurons
    losses: Tensor
    joint: Joint

    @property
    def loss(self) -> float:
        """Mean squared error over the outputs."""
        return float(self.losses.mean())


@dataclass(frozen=True)
class JointNewton:
    """Gauss-Newton steps with Marquardt's damping; see :class:`mlpiht_cli.solvers.realloc.newton.GaussNewton`.

    Every step weighs the outputs by their inverse mean squared errors, and must lower the sum so weighted.

    Attributes
    ----------
    rounds, gain, sampled
        As with one output.
    floor
        Mean squared error of an output below which it counts as exact.
    """

    rounds: int
    gain: float = 0.05
    floor: float = 0.0
    sampled: bool = True

    def __call__(self, samples: VectorSamples, blocks: Neurons) -> VectorFitted:
        """Fit the weights on the supports."""
        damping = DAMPING[1]
        size = int(blocks.support.sum()) + (0 if blocks.skip is None else len(samples.features))
        curvature = max(LEAST_SAMPLES, SAMPLES_PER_WEIGHT * size) if self.sampled else samples.n
        losses = samples.losses(blocks)
        for _ in range(self.rounds):
            at = joint(samples, blocks, curvature, weights_of(losses, self.floor))
            step = self._step(samples, at, damping)
            if step is None:
                return VectorFitted(at.at, at.losses, at)
            found, damping = step
            blocks, losses = found.blocks, found.losses
            ratio = float((at.weight * found.losses).sum() / (at.weight * at.losses).sum())
            if float(found.losses.max()) < self.floor or ratio > 1.0 - self.gain:
                break
        return found

    def _step(self, samples: VectorSamples, at: Joint, damping: float) -> tuple[VectorFitted, float] | None:
        """Return one accepted step and the next damping, or None if no step lowers the weighted loss."""
        diagonal, before = at.hessian.diagonal(), float(at.weight @ at.losses)
        least = 1e-12 * float(diagonal.mean()) + 1e-30 if len(diagonal) else 0.0
        for _ in range(TRIES):
            factor, info = torch.linalg.cholesky_ex(at.hessian + torch.diag(damping * diagonal + least))
            if int(info) == 0:
                step = torch.cholesky_solve(at.gradient[:, None], factor)[:, 0]
                moved = at.with_values(at.values(at.at) + step)
                losses = samples.losses(moved)
                if float(at.weight @ losses) < before:
                    return VectorFitted(moved, losses, at), max(damping / 10.0, DAMPING[0])
            damping *= 10.0
        return None
