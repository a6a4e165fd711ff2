"""Equivalent networks: signs of neurons, one-sparse pairs, and neurons that are one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog

from mlpiht_cli.solvers.realloc.blocks import Blocks

TINY = 1e-4  # relative weight of a half that is dropped


def signed(blocks: Blocks) -> Blocks:
    """Turn neurons round so that the least is left for the skip connection.

    ``relu(w . x) = relu(-w . x) + w . x``: turning neuron j adds ``w_j`` to the skip connection. Which to turn is a
    linear program, ``min |c + W^T f|_1`` over ``0 <= f <= 1``, rounded; the sum of absolute values since the planted
    signs leave most coordinates at zero.
    """
    if blocks.skip is None or not len(blocks.weights):
        return blocks
    w, skip = blocks.weights.cpu().numpy(), blocks.skip.cpu().numpy()
    turn = _least_l1(w, skip) > 0.5
    if np.abs(skip + w[turn].sum(0)).sum() >= np.abs(skip).sum():
        return blocks
    sign = torch.from_numpy(np.where(turn, -1.0, 1.0)).to(blocks.weights.device)
    moved = torch.from_numpy(skip + w[turn].sum(0)).to(blocks.weights.device)
    return Blocks(blocks.weights * sign[:, None], blocks.support, moved)


def _least_l1(w: NDArray[np.float64], skip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares ``[b]`` that minimise ``|skip + w^T f|_1``."""
    b, d = w.shape
    cost = np.concatenate([np.zeros(b), np.ones(2 * d)])
    equal = np.concatenate([w.T, np.eye(d), -np.eye(d)], axis=1)
    bounds = [(0.0, 1.0)] * b + [(0.0, None)] * (2 * d)
    found = linprog(cost, A_eq=equal, b_eq=-skip, bounds=bounds, method="highs")
    return np.zeros(b) if found.x is None else np.asarray(found.x[:b])


def unpaired(blocks: Blocks) -> Blocks:
    """Write the skip connection as neurons where one-sparse ones allow it, and drop the rest of it.

    On the coordinate of a one-sparse neuron ``w relu(x_a)`` and a linear part ``c x_a`` are
    ``p relu(x_a) + q relu(-x_a)``, a pair of neurons when p and q are not negative.
    """
    if blocks.skip is None:
        return blocks
    w, skip = blocks.weights.clone(), blocks.skip
    pairs = []
    for j in ((w != 0).sum(1) == 1).nonzero().flatten().tolist():
        a = int(w[j].nonzero())
        value, rest = float(w[j, a]), float(skip[a])
        halves = (max(value, 0.0) + rest, max(-value, 0.0) - rest)
        if min(halves) > -TINY * abs(value):
            skip = skip.clone()
            skip[a] = 0.0
            w[j] = 0.0
            for half, sign in zip(halves, (1.0, -1.0), strict=True):
                if half > TINY * abs(value):
                    pairs.append(torch.zeros_like(skip).index_fill(0, torch.tensor([a], device=w.device), sign * half))
    w = torch.cat([w, torch.stack(pairs)]) if pairs else w
    return Blocks(w, w != 0).kept(w != 0)


def merged(blocks: Blocks, cosine: float) -> Blocks:
    """Put neurons together, the closest first, while two are closer than ``cosine`` or, turned round, its opposite."""
    w, support, skip = blocks.weights.clone(), blocks.support.clone(), blocks.skip
    live = torch.ones(len(w), dtype=torch.bool, device=w.device)
    unit = w / w.norm(dim=1, keepdim=True).clamp(min=1e-30)
    close = (unit @ unit.T).triu(1)
    if skip is None:
        close = close.clamp(min=0.0)
    for flat in close.abs().flatten().argsort(descending=True).tolist():
        i, j = divmod(flat, len(w))
        if abs(float(close[i, j])) < cosine:
            break
        if not (live[i] and live[j]):
            continue
        if float(close[i, j]) < 0.0 and skip is not None:
            skip = skip + w[j]
            w[j] = -w[j]
        w[i] += w[j]
        support[i] |= support[j]
        live[j] = False
    return Blocks(w[live], support[live], skip)
