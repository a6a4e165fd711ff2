"""Proposals for several outputs: directions of missing neurons, from the Hermite moments of all residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.linalg.moments import PHI0, tiles
from mlpiht_cli.solvers.realloc.propose import CLEAN, CLEAR, SHORT, distinct
from mlpiht_cli.solvers.realloc_vector.network import VectorSamples

if TYPE_CHECKING:
    from torch import Tensor

PAIRS = 100  # pairs of inputs that power iterations start from, with both signs
MIXES = 3  # random pairs of mixes of the outputs whose moments are diagonalised together
TILE_NUMBERS = 2**21  # products of pairs of inputs of a tile


@dataclass(frozen=True)
class Moments:
    """Second Hermite moments of the outputs' residuals, and the residuals without their quadratic parts.

    For normal inputs and ``r = sum_j a_j relu(u_j . x)``, ``|u_j| = 1``, the moment of output q is
    ``M_q = sum_j a_jq u_j u_j^T`` (:mod:`mlpiht_cli.linalg.moments`).

    Attributes
    ----------
    clean
        Moments, entries that may be noise set to zero, float64 ``[k, d, d]``.
    raw
        The same with noise.
    noise
        Standard deviation of an entry off the diagonal; the residuals have variance 1.
    rest
        Residuals without their means and quadratic parts, divided by their standard deviations, ``[k, n]``.
    """

    clean: Tensor
    raw: Tensor
    noise: float
    rest: Tensor

    @classmethod
    def of(cls, x: Tensor, residual: Tensor) -> Moments:
        """Compute the moments of residuals ``[k, n]`` that are not zero."""
        r = residual - residual.mean(1, keepdim=True)
        r = r / r.double().square().mean(1, keepdim=True).sqrt().to(r.dtype)
        (d, n), k = x.shape, len(r)
        raw = torch.zeros(k, d, d, dtype=torch.float64, device=x.device)
        for run in tiles(n):
            part = x[:, run]
            raw += (r[:, None, run] * part).reshape(k * d, -1).matmul(part.T).reshape(k, d, d)
        raw /= n * PHI0
        noise = 1.0 / math.sqrt(n) / PHI0
        bound = torch.full((d, d), CLEAN * noise, dtype=raw.dtype, device=x.device)
        bound.diagonal().mul_(math.sqrt(2.0))
        clean = torch.where(raw.abs() > bound, raw, 0.0)
        rest = _without_quadratic(x, r, clean)
        return cls(clean, raw, noise, rest)


def _without_quadratic(x: Tensor, r: Tensor, clean: Tensor) -> Tensor:
    """Return the residuals minus the quadratic forms with these second moments, with variance 1."""
    i, j = clean.ne(0).any(0).triu().nonzero(as_tuple=True)
    share = (0.5 * PHI0 * clean[:, i, j] * torch.where(i == j, 1.0, 2.0)).to(x.dtype)
    rest = r.clone()
    for run in tiles(r.shape[1], max(256, min(4096, TILE_NUMBERS // max(len(i), 1)))):
        rest[:, run] -= share @ (x[i, run] * x[j, run])
    rest -= rest.mean(1, keepdim=True)
    return rest / rest.double().square().mean(1, keepdim=True).sqrt().to(rest.dtype)


def starts(moments: Moments, draws: np.random.Generator) -> Tensor:
    """Return unit directions: pairs of inputs, rows of the moments, and eigenvectors that mixes of outputs share.

    The moments of a pair of inputs in all outputs, ``(M_q)_ab``, are the outputs of the neuron that has both inputs, if
    there is one; so they give the mix that shows this neuron best.
    """
    clean = moments.clean
    d = clean.shape[1]
    size = clean.square().sum(0).triu(1).flatten()
    flat = size.argsort(descending=True)[:PAIRS]
    flat = flat[size[flat] > 0]
    a, b = flat // d, flat % d
    mix = torch.nn.functional.normalize(clean[:, a, b], dim=0)
    rows = torch.einsum("qp,qpc->pc", mix, clean[:, a])
    others = torch.einsum("qp,qpc->pc", mix, clean[:, b])
    eye = torch.eye(d, dtype=clean.dtype, device=clean.device)
    both = torch.cat([eye[a] + eye[b], eye[a] - eye[b], rows, others, _shared(moments, draws)])
    norm = both.norm(dim=1)
    unit: Tensor = both[norm > 0] / norm[norm > 0, None]
    return unit


def _shared(moments: Moments, draws: np.random.Generator) -> Tensor:
    """Return eigenvectors of ``M(q) M(p)^+`` for random mixes q and p of the outputs.

    ``M(q) = U^T diag(A q) U``, so these are the rows of U where they are independent (Leurgans, Ross and Abel 1993).
    """
    clean = moments.clean
    dense = float((clean != 0).double().mean()) > 0.1
    source = moments.raw if dense else clean
    k, d, _ = source.shape
    if k < 2:
        return source.new_zeros(0, d)
    values, vectors = torch.linalg.eigh(torch.einsum("qab,qcb->ac", source, source))
    keep = values > (2.2 * moments.noise) ** 2 * d * k
    basis = vectors[:, keep]
    small = torch.einsum("ai,qab,bj->qij", basis, source, basis)
    found = []
    for _ in range(MIXES if basis.shape[1] else 0):
        one, other = torch.from_numpy(draws.standard_normal((2, k))).to(source.device)
        left, right = torch.einsum("q,qij->ij", one, small), torch.einsum("q,qij->ij", other, small)
        ratio = left @ torch.linalg.pinv(right, rtol=1e-3)
        found.append((basis @ torch.linalg.eig(ratio)[1].real).T)
    return torch.cat(found) if found else source.new_zeros(0, d)


@dataclass(frozen=True)
class VectorProposal:
    """Power iterations on the fourth moment; direction and mix of outputs follow each other.

    Attributes
    ----------
    rounds
        Number of power iterations.
    """

    rounds: int = 4

    def __call__(self, samples: VectorSamples, residual: Tensor, draws: np.random.Generator) -> Tensor:
        """Return unit directions of neurons that the residual ``[k, n]`` may miss, float64 ``[b, d]``."""
        if not len(residual):
            return torch.zeros(0, len(samples.features), dtype=torch.float64, device=residual.device)
        moments = Moments.of(samples.features, residual)
        directions = starts(moments, draws)
        noise = CLEAR * math.sqrt(6.0 / samples.n) / PHI0
        for turn in range(self.rounds):
            if not len(directions):
                break
            image = fourth_moments(samples.features, moments.rest, directions)
            top = image.abs().amax(1, keepdim=True)
            image[image.abs() < (0.99 * top).clamp(max=noise)] = 0.0
            size = image.norm(dim=1)
            image = image / size.clamp(min=1e-30)[:, None]
            keep = distinct(image, size, 0.9 if turn == self.rounds - 1 else 0.97)
            keep = keep[size[keep] > noise]
            directions = image[keep]
        top = directions.abs().amax(1, keepdim=True) if len(directions) else directions
        return torch.where(directions.abs() < SHORT * top, 0.0, directions)


def fourth_moments(x: Tensor, rest: Tensor, directions: Tensor) -> Tensor:
    """Return fourth moments along unit directions v ``[b, d]``, each in the mix of outputs that v shows best.

    The mix is that of ``E[r_q He_4(v . x)]``, a matched filter for residuals of equal variance. The units are those of
    :func:`mlpiht_cli.linalg.moments.fourth_moment`; the sign is that of the mix.
    """
    n, v = x.shape[1], directions.to(x.dtype)
    answers = v.new_zeros(len(v), len(rest))
    for run in tiles(n):
        square = (v @ x[:, run]).square_()
        answers += (square * (square - 6.0) + 3.0) @ rest[:, run].T
    mix = torch.nn.functional.normalize(answers, dim=1)
    total, second = torch.zeros_like(directions), torch.zeros_like(directions[:, 0])
    for run in tiles(n):
        part = x[:, run]
        z, r = v @ part, mix @ rest[:, run]
        squares = z.square()
        second += ((squares - 1.0) * r).sum(1)
        total += (z * (squares - 3.0) * r) @ part.T
    return (3.0 * directions * second[:, None] - total) / n / PHI0
