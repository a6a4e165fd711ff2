"""Signs of second-layer neurons: those that leave a direct part without negative weights, and with few."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.solvers.realloc_deep.network import Deep

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NEGATIVE = 3.0  # cost of a negative direct weight, for which there is no network, relative to a positive one
ROUNDS = 4  # turns, for each neuron


def turned(net: Deep, tolerance: float) -> Deep:
    """Turn second-layer neurons so that the direct part needs few weights, none of them negative.

    ``relu(z) = relu(-z) + z``: turning neuron k adds ``v_k`` to the direct part. Weights of the direct part that are
    left negative, or below ``tolerance`` of the largest second-layer weight of their neuron, are dropped.
    """
    if not len(net.first):
        return net
    size = torch.maximum(net.direct.abs(), net.second.abs().amax(0) if len(net.second) else net.direct.abs())
    size = size.clamp(min=1e-300)
    rows, direct = (net.second / size).cpu().numpy(), (net.direct / size).cpu().numpy()
    starts = (np.zeros(len(rows), dtype=bool), relaxed(rows, direct) > 0.5)
    turn = min((improved(rows, direct, start) for start in starts), key=lambda turn: cost(direct + rows[turn].sum(0)))
    sign = torch.from_numpy(np.where(turn, -1.0, 1.0)).to(size.device)
    left = torch.from_numpy(direct + rows[turn].sum(0)).to(size.device)
    direct_left = torch.where(left > tolerance, left * size, 0.0)
    return Deep(net.first, net.second * sign[:, None], direct_left).tidied()


def cost(left: Floats) -> float | Floats:
    """Return a sum of square roots, small for sparse direct parts, over the last axis; negative weights cost more."""
    return np.asarray(np.sqrt(np.where(left < 0.0, -(NEGATIVE**2) * left, left)).sum(-1))


def relaxed(rows: Floats, direct: Floats) -> Floats:
    """Return shares in [0, 1] of the neurons to turn that give the least sum of the direct part, ``[q]``."""
    from scipy.optimize import linprog

    q, h = rows.shape
    if not q:
        return np.zeros(0)
    weight = np.concatenate([np.zeros(q), np.ones(h), NEGATIVE * np.ones(h)])
    equal = np.concatenate([rows.T, -np.eye(h), np.eye(h)], axis=1)
    bounds = [(0.0, 1.0)] * q + [(0.0, None)] * (2 * h)
    found = linprog(weight, A_eq=equal, b_eq=-direct, bounds=bounds, method="highs")
    return np.zeros(q) if found.x is None else np.asarray(found.x[:q])


def improved(rows: Floats, direct: Floats, turn: Flags) -> Flags:
    """Turn one neuron, or two that share a first-layer neuron, the best first, as long as the cost falls."""
    turn, meets = turn.copy(), (rows != 0).astype(float) @ (rows != 0).T > 0
    for _ in range(ROUNDS * len(turn)):
        left = direct + rows[turn].sum(0)
        moves = np.where(turn, -1.0, 1.0)[:, None] * rows
        after = left + moves
        costs = np.asarray(cost(after))
        least, best = float(cost(left)) - 1e-9, list[int]()
        if costs.min() < least:
            least, best = float(costs.min()), [int(costs.argmin())]
        for j in range(len(turn)) if not best else ():
            partners = np.flatnonzero(meets[j, :j])
            pairs = np.asarray(cost(after[j] + moves[partners]))
            if len(pairs) and pairs.min() < least:
                least, best = float(pairs.min()), [j, int(partners[pairs.argmin()])]
        if not best:
            break
        turn[best] = ~turn[best]
    return turn
