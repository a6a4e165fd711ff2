"""Growth: a round's new neurons, new inputs and output weights, before the joint fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import gram, tiles
from mlpiht_cli.solvers.realloc.prune import Stop
from mlpiht_cli.solvers.realloc_vector.network import Neurons, VectorSamples
from mlpiht_cli.solvers.realloc_vector.newton import factored, weights_of

if TYPE_CHECKING:
    from torch import Tensor

SAME = 0.99  # cosine above which a proposal is a neuron of the network


def linear_fit(samples: VectorSamples) -> Tensor:
    """Return the best linear fit to the centred targets, float64 ``[d, k]``."""
    none = torch.zeros(0, len(samples.features), dtype=torch.float64, device=samples.y.device)
    total, right = _products(samples.features, samples.y - samples.y.mean(1, keepdim=True), none)
    return torch.cholesky_solve(right, factored(total))


def candidates(at: Neurons, directions: Tensor) -> Neurons:
    """Return the network with new neurons whose outputs are zero: unit directions, and one-sparse ones everywhere."""
    size = at.hidden.norm(dim=1, keepdim=True).clamp(min=1e-300)
    known = replace(at, hidden=at.hidden / size, output=at.output * size)
    eye = torch.eye(directions.shape[1], dtype=directions.dtype, device=directions.device)
    new = torch.cat([eye, directions[(directions != 0).sum(1) > 1]])
    if at.count:
        new = new[(new @ known.hidden.T).abs().amax(1) < SAME]
    zero = new.new_zeros(len(new), at.output.shape[1])
    return known.joined(Neurons(new, new != 0, zero, zero != 0))


def with_inputs(samples: VectorSamples, at: Neurons, losses: Tensor, most: int) -> Neurons:
    """Return the network with the inputs whose gradient is above the noise, at most ``most``.

    The noise is that of the weighted residuals ``sum_q w_q a_jq r_q`` on the half of the samples where the mask is
    open, less the half of it that the linear part takes.
    """
    if not at.count:
        return at
    weight = weights_of(losses, 0.0)
    slopes = samples.sums(at, weight).hidden
    noise = (0.25 * samples.n * (at.output.square() * weight.square() * losses).sum(1)).sqrt()
    z = torch.where(at.support, 0.0, slopes.abs() / noise.clamp(min=1e-300)[:, None])
    least = z.flatten().topk(min(most, z.numel())).values[-1]
    return replace(at, support=at.support | (z >= least.clamp(min=4.0)))


def with_outputs(samples: VectorSamples, at: Neurons, losses: Tensor, most: int) -> Neurons:
    """Return the network with the output weights whose gradient is above the noise, at most ``most``.

    The noise is that of the residual ``r_q`` times the activation, whose mean square is ``|u_j|^2 / 2``.
    """
    if not at.count or most < 1:
        return at
    slopes = samples.sums(at, torch.ones_like(losses)).output
    noise = (0.5 * samples.n * at.hidden.square().sum(1)[:, None] * losses).sqrt()
    z = torch.where(at.used, 0.0, slopes.abs() / noise.clamp(min=1e-300))
    least = z.flatten().topk(min(most, z.numel())).values[-1]
    return replace(at, used=at.used | (z >= least.clamp(min=4.0)))


@dataclass(frozen=True)
class Amplitudes:
    """Output weights of a network's neurons by least squares, and backward elimination in every output.

    Attributes
    ----------
    z
        Standard deviations that an output weight has to be worth.
    floor
        Mean squared error below which an output counts as exact.
    """

    z: float
    floor: float

    def __call__(self, samples: VectorSamples, residual: Tensor, at: Neurons) -> Neurons:
        """Return the network with other output weights and linear part.

        Parameters
        ----------
        samples
            The data.
        residual
            Residual of the network, ``[k, n]``.
        at
            The network; new neurons have no outputs. With few samples, new neurons of small covariance with the
            residual are left out.
        """
        assert at.skip is not None, "the search has a linear part"
        skip, at = at.skip, self._screened(samples, residual, at)
        d, b = len(skip), at.count
        total, right = _products(samples.features, residual, at.hidden)
        factor = factored(total)
        solved = torch.linalg.solve_triangular(factor, right, upper=False)
        rest = factor[d:, d:]
        change = torch.linalg.solve_triangular(rest.T, solved[d:], upper=True)
        energy = residual.double().square().sum(1) - solved.square().sum(0)
        loss = (energy / (samples.n - d - b)).clamp(min=self.floor)
        hessian, out = rest @ rest.T, torch.zeros_like(change)
        for q in range(change.shape[1]):
            stop = Stop(self.z**2 * float(loss[q]), b, b)
            values, alive = stop.eliminated(hessian, at.output[:, q] + change[:, q])
            out[:, q] = torch.where(alive, values, 0.0)
        moved = solved[:d] - factor[d:, :d].T @ (out - at.output)
        skip = skip + torch.linalg.solve_triangular(factor[:d, :d].T, moved, upper=True)
        return replace(at, output=out, skip=skip).kept(at.support, out != 0)

    def _screened(self, samples: VectorSamples, residual: Tensor, at: Neurons) -> Neurons:
        """Keep as many neurons as leave half of the samples: those with outputs, and the most correlated of the new."""
        room = (samples.n - len(samples.features)) // 2
        if at.count <= room:
            return at
        r = residual - residual.mean(1, keepdim=True)
        r = r / r.square().mean(1, keepdim=True).sqrt().clamp(min=1e-30)
        active = (at.hidden.to(r.dtype) @ samples.features).abs()
        active -= active.mean(1, keepdim=True)
        score = (active @ r.T).abs().amax(1).double() / active.norm(dim=1).clamp(min=1e-30)
        score = torch.where(at.used.any(1), torch.inf, score)
        keep = score.argsort(descending=True, stable=True)[: max(room, int(at.used.any(1).sum()))].sort().values
        return at.taken(keep)


def _products(x: Tensor, residual: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Gram matrix of the inputs and the activations, and their products with the residual ``[k, n]``."""
    u = hidden.to(x.dtype)
    size = len(x) + len(u)
    total = torch.zeros(size, size, dtype=torch.float64, device=x.device)
    right = total.new_zeros(size, len(residual))
    for run in tiles(x.shape[1]):
        columns = torch.cat([x[:, run], (u @ x[:, run]).clamp_(min=0.0)])
        total += gram(columns)
        right += columns @ residual[:, run].T
    return total, right


def largest(at: Neurons, most: int) -> Neurons:
    """Keep the neurons of the largest size ``|u_j| |a_j|`` with at most ``most`` weights together."""
    cost = at.support.sum(1) + at.used.sum(1)
    order = at.sizes().argsort(descending=True)
    return at.taken(order[cost[order].cumsum(0) <= most].sort().values)
