"""Proposals for several outputs: directions of missing neurons, from the second Hermite moments of all residuals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import PHI0, tiles
from mlpiht_cli.solvers.realloc.propose import CLEAN, SHORT, distinct

if TYPE_CHECKING:
    from torch import Tensor

PAIRS = 100  # pairs of inputs that directions are read off
SAME = 0.9  # cosine above which two directions are one


def second_moments(x: Tensor, residual: Tensor) -> Tensor:
    """Return the second Hermite moment of every output, entries that may be noise set to zero, float64 ``[k, d, d]``.

    For normal inputs and ``r = sum_j a_j relu(u_j . x)`` with ``|u_j| = 1``, the moment of output q is
    ``sum_j a_jq u_j u_j^T`` (:mod:`mlpiht_cli.linalg.moments`), here in standard deviations of the residual.

    Parameters
    ----------
    x, residual
        Inputs ``[d, n]`` and residuals ``[k, n]`` that are not zero.
    """
    r = residual - residual.mean(1, keepdim=True)
    r = r / r.double().square().mean(1, keepdim=True).sqrt().to(r.dtype)
    (d, n), k = x.shape, len(r)
    found = torch.zeros(k, d, d, dtype=torch.float64, device=x.device)
    for run in tiles(n):
        part = x[:, run]
        found += ((r[:, None, run] * part).flatten(0, 1) @ part.T).reshape(k, d, d)
    found /= n * PHI0
    bound = torch.full((d, d), CLEAN / math.sqrt(n) / PHI0, dtype=found.dtype, device=x.device)
    bound.diagonal().mul_(math.sqrt(2.0))
    return torch.where(found.abs() > bound, found, 0.0)


def directions(moments: Tensor) -> Tensor:
    """Return unit directions of neurons that these moments ``[k, d, d]`` can be sums of, float64 ``[b, d]``.

    A pair of inputs a, b that only one neuron has shows its outputs: ``(M_q)_ab = a_jq u_ja u_jb`` for every output q.
    In the mix of outputs with these weights the neuron is as large as it can be, so the rows a and b of this mix are
    nearly ``u_j``. The pair with either sign is a direction, too, for neurons of two inputs whose rows others share.
    """
    d = moments.shape[1]
    size = moments.square().sum(0).triu(1).flatten()
    flat = size.argsort(descending=True)[:PAIRS]
    flat = flat[size[flat] > 0]
    a, b = flat // d, flat % d
    mix = torch.nn.functional.normalize(moments[:, a, b], dim=0)
    rows, others = (torch.einsum("qp,qpc->pc", mix, moments[:, one]) for one in (a, b))
    eye = torch.eye(d, dtype=moments.dtype, device=moments.device)
    found = torch.cat([rows, others, eye[a] + eye[b], eye[a] - eye[b]])
    found = torch.nn.functional.normalize(found)
    found = torch.where(found.abs() < SHORT * found.abs().amax(1, keepdim=True), 0.0, found)
    found = torch.nn.functional.normalize(found)
    return found[distinct(found, size[flat].repeat(4), SAME)]
