"""Proposals: directions of missing neurons, from the Hermite moments of the residual."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.moments import (
    Whitening,
    fourth_moment,
    fourth_noise,
    gram,
    second_moment,
    second_noise,
    tiles,
    whitened_fourth,
    without_quadratic,
)
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples

if TYPE_CHECKING:
    from torch import Tensor

CLEAN = 3.5  # entries of the second moment below this number of standard deviations are noise
CLEAR = 3.0  # the same for the fourth moment
DENSE = 0.3  # above this share of nonzero entries the second moment is not sparse and is used without cleaning
STARTS = 200  # largest number of starts of a kind
NEAR = 0.1  # distance that counts as near a neuron's boundary, in standard deviations
SHORT = 0.05  # entries of a proposal below this share of its largest entry are dropped


@dataclass(frozen=True)
class MomentProposal:
    """Power iterations on the fourth moment of the residual, with noise set to zero.

    They start from inputs, rows and entries of the second moment and, if ``whiten`` is positive, from the components of
    the whitened moment tensor (Anandkumar et al. 2014), which finds neurons with many weights as long as there are
    fewer neurons than inputs.

    Attributes
    ----------
    rounds
        Number of power iterations.
    whitened_rounds
        Number of iterations in whitened coordinates, which cost less.
    signs
        Whether neurons may have the output sign -1.
    """

    rounds: int = 8
    whitened_rounds: int = 30
    signs: bool = False

    def __call__(self, samples: Samples, residual: Tensor, whiten: int, draws: np.random.Generator) -> Blocks:
        """Return new neurons, the largest first.

        Parameters
        ----------
        samples, residual
            The data and the residual ``[n]`` of the network.
        whiten
            Number of random starts in whitened coordinates, 0 for none.
        draws
            Generator of the random starts.
        """
        x, centred = samples.features, residual - residual.mean()
        moment, noise = second_moment(x, centred), second_noise(centred)
        clean = _clean(moment, noise)
        rest = without_quadratic(x, centred, clean)
        starts = [sparse_starts(moment, clean, self.signs)]
        if whiten:
            dense = float((clean != 0).double().mean()) > DENSE
            whitening = Whitening.of(moment if dense else clean, noise, self.signs)
            starts.append(
                self._whitened(x, rest, whitening, draws.standard_normal((whiten, len(whitening.project[0]))))
            )
        found = self._iterate(x, rest, torch.cat(starts))
        factor = 2.0 * amplitudes(samples, residual, found, self.signs)
        neurons = found * factor.abs()[:, None]
        size = neurons.norm(dim=1)
        order = size.argsort(descending=True)
        order = order[size[order] > 1e-3 * size.max()] if len(size) else order
        neurons = neurons[order]
        neurons = torch.where(neurons.abs() < SHORT * neurons.abs().amax(1, keepdim=True), 0.0, neurons)
        outputs = torch.where(factor[order] < 0.0, -1.0, 1.0).double() if self.signs else None
        return Blocks(neurons, neurons != 0, None, outputs)

    def _iterate(self, x: Tensor, rest: Tensor, directions: Tensor) -> Tensor:
        """Return the distinct unit directions that the iteration reaches."""
        noise = CLEAR * fourth_noise(rest)
        for turn in range(self.rounds):
            image = fourth_moment(x, rest, directions)
            image[image.abs() < (0.99 * image.abs().amax(1, keepdim=True)).clamp(max=noise)] = 0.0
            size = image.norm(dim=1)
            image = image / size.clamp(min=1e-30)[:, None]
            keep = distinct(image, size, 0.9 if turn == self.rounds - 1 else 0.97)
            keep = keep[size[keep] > noise]
            still = (image * directions).sum(1).abs()[keep]
            directions = image[keep]
            if not len(keep) or float(still.min()) > 0.9999:
                break
        return directions

    def _whitened(self, x: Tensor, rest: Tensor, whitening: Whitening, starts: NDArray[np.float64]) -> Tensor:
        """Return the unit directions of the components of the orthogonal tensor."""
        directions = torch.from_numpy(starts).to(x.device)
        if not directions.shape[1]:
            return directions.new_empty(0, len(x))
        projected = whitening.project.T.to(x.dtype) @ x
        directions = directions / directions.norm(dim=1, keepdim=True)
        size = directions[:, 0]
        for _ in range(self.whitened_rounds):
            image = whitened_fourth(projected, rest, directions)
            size = image.norm(dim=1)
            image = image / size.clamp(min=1e-30)[:, None]
            still = float((image * directions).sum(1).abs().min())
            directions = image
            if still > 1.0 - 1e-6:
                break
        lifted = directions @ whitening.lift.T
        lifted = lifted / lifted.norm(dim=1, keepdim=True).clamp(min=1e-30)
        found: Tensor = lifted[distinct(lifted, size, 0.97)]
        return found


def _clean(moment: Tensor, noise: float) -> Tensor:
    """Set entries that may be noise to zero."""
    bound = torch.full_like(moment, CLEAN * noise)
    bound.diagonal().mul_(math.sqrt(2.0))
    return torch.where(moment.abs() > bound, moment, 0.0)


def sparse_starts(moment: Tensor, clean: Tensor, signs: bool) -> Tensor:
    """Return unit vectors: single inputs, rows of the cleaned moment, and pairs of inputs of its largest entries.

    For neurons of output sign +1 the sign of an entry is the sign of the pair's product; with ``signs`` both are tried.
    """
    d = len(moment)
    diagonal = moment.diagonal().abs() if signs else moment.diagonal()
    inputs = diagonal.argsort(descending=True)[:STARTS]
    identity = torch.eye(d, dtype=moment.dtype, device=moment.device)
    off = clean.triu(1).flatten()
    flat = off.abs().argsort(descending=True)[: STARTS // 2]
    flat = flat[off[flat] != 0]
    pairs = identity[flat // d] + off[flat].sign()[:, None] * identity[flat % d]
    others = identity[flat // d] - off[flat].sign()[:, None] * identity[flat % d]
    starts = torch.cat([identity[inputs], clean[inputs], pairs, *([others] if signs else [])])
    size = starts.norm(dim=1)
    unit: Tensor = starts[size > 0] / size[size > 0, None]
    return unit


def distinct(directions: Tensor, size: Tensor, cosine: float) -> Tensor:
    """Return positions of directions, largest ``size`` first; skip those closer than ``cosine`` to an earlier one."""
    close = ((directions @ directions.T).abs() > cosine).cpu().numpy()
    order = size.argsort(descending=True).tolist()
    gone = np.zeros(len(directions), dtype=bool)
    keep = []
    for i in order:
        if not gone[i]:
            keep.append(i)
            gone |= close[i]
    return torch.tensor(keep, dtype=torch.int64, device=directions.device)


def amplitudes(samples: Samples, residual: Tensor, directions: Tensor, signs: bool = False) -> Tensor:
    """Return the coefficients a of the best fit ``sum_j a_j |u_j . x| + c . x`` to the residual, float64 ``[b]``.

    They are not negative unless ``signs`` allows it.
    """
    from scipy.optimize import nnls

    x, u = samples.features, directions.to(samples.features.dtype)
    d, b = len(x), len(u)
    total = torch.zeros(d + b, d + b, dtype=torch.float64, device=x.device)
    right = torch.zeros(d + b, dtype=torch.float64, device=x.device)
    for run in tiles(samples.n):
        columns = torch.cat([x[:, run], (u @ x[:, run]).abs()])
        total += gram(columns)
        right += columns @ residual[run]
    total.diagonal().mul_(1.0 + 1e-9).add_(1e-30 + 1e-12 * total.diagonal().mean())
    factor = torch.linalg.cholesky_ex(total)[0]
    solved = torch.linalg.solve_triangular(factor, right[:, None], upper=False)[:, 0]
    # The last rows of the factor are the problem that remains without the linear part.
    rest = factor[d:, d:].T
    if signs:
        free: Tensor = torch.linalg.solve_triangular(rest, solved[d:, None], upper=True)[:, 0]
        return free
    found, _ = nnls(rest.cpu().numpy(), solved[d:].cpu().numpy(), maxiter=50 * (b + 1)) if b else ([], 0.0)
    return torch.as_tensor(np.asarray(found), dtype=torch.float64, device=x.device)


def new_inputs(everywhere: Tensor, support: Tensor, noise: float, most: int) -> Tensor:
    """Return entries outside the support whose gradient is above the noise, bool ``[b, d]``, at most ``most``.

    Parameters
    ----------
    everywhere
        ``A^T r`` for every input of every block, ``[b, d]``.
    noise
        Standard deviation of an entry: ``std(r) sqrt(n) / 2``, because a mask is open for half of the samples, and the
        skip connection takes half of the rest.
    """
    z = torch.where(support, 0.0, everywhere.abs() / max(noise, 1e-300))
    least = z.flatten().topk(min(most, z.numel())).values[-1] if z.numel() else z.new_zeros(())
    return (z >= least.clamp(min=4.0)) & ~support


def boundary_share(samples: Samples, weights: Tensor, residual: Tensor) -> Tensor:
    """Return the mean square of the residual near each boundary ``|w . x| < 0.1 |w|``, over its mean, ``[b]``.

    A neuron that represents two neurons of nearly equal directions is wrong only near its boundary.
    """
    w = torch.nn.functional.normalize(weights).to(residual.dtype)
    inside, count = torch.zeros_like(weights[:, 0]), torch.zeros_like(weights[:, 0])
    for run in tiles(samples.n):
        near = ((w @ samples.features[:, run]).abs() < NEAR).to(residual.dtype)
        inside += near @ residual[run].square()
        count += near.sum(1)
    return inside / count.clamp(min=1.0) / residual.double().square().mean().clamp(min=1e-300)
