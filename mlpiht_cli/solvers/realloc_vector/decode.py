"""Equivalent networks with several outputs: signs of neurons, pairs of one-sparse neurons, merging."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mlpiht_cli.solvers.realloc.decode import Flags, Floats, Signs
from mlpiht_cli.solvers.realloc_vector.network import Neurons


def signed(at: Neurons) -> Neurons:
    """Turn neurons so that the linear part needs the fewest entries.

    ``a relu(u . x) = a relu(-u . x) + a (u . x)``: turning neuron j adds ``u_j a_j^T`` to C. The entries that ``u_j``
    and ``a_j`` share with no other neuron vote first; then one or two neurons turn as long as it helps. One-sparse
    neurons do not turn: :func:`unpaired` gives them any linear part of their input.
    """
    several = at.support.sum(1) > 1
    if at.skip is None or not bool(several.any()):
        return at
    outer = (at.hidden[:, :, None] * at.output[:, None, :]).flatten(1)
    touched = outer[several].any(0)
    w, skip = outer[:, touched].cpu().numpy(), at.skip.flatten()[touched].cpu().numpy()
    puzzle = Signs(w, skip, ~several.cpu().numpy(), free=True)
    guesses = (_votes(w[puzzle.several], skip), np.zeros(len(puzzle.several), dtype=bool))
    turn = torch.from_numpy(min((puzzle.improved(guess) for guess in guesses), key=puzzle.cost))
    sign = torch.ones_like(at.hidden[:, 0])
    sign[several] = torch.where(turn.to(sign.device), -1.0, 1.0).to(sign)
    linear = at.skip + (at.hidden * (sign < 0)[:, None]).T @ at.output
    return replace(at, hidden=at.hidden * sign[:, None], skip=linear)


def _votes(w: Floats, skip: Floats) -> Flags:
    """Turn the neurons whose median entry of ``-C / (u_j a_j)`` is nearer to 1 than to 0."""
    return np.array([np.median(-skip[row != 0] / row[row != 0]) > 0.5 for row in w], dtype=bool)


def unpaired(at: Neurons, tolerance: float) -> Neurons:
    """Write the linear part as one-sparse neurons.

    One-sparse neurons ``p relu(x_a) + q relu(-x_a)`` with ``p, q`` in R^k and the linear part ``x_a c`` are the pair
    ``(p + c) relu(x_a) + (q - c) relu(-x_a)``. Entries below ``tolerance``, in standard deviations of the outputs, are
    dropped, and what is left of the linear part with them.
    """
    if at.skip is None:
        return at
    single = at.support.sum(1) == 1
    sides = at.hidden.new_zeros(2, *at.skip.shape)
    for row, output in zip(at.hidden[single], at.output[single], strict=True):
        a = int(row.abs().argmax())
        sides[int(row[a] < 0), a] += row[a].abs() * output
    pair = torch.stack([sides[0] + at.skip, sides[1] - at.skip]).flatten(0, 1)
    pair = torch.where(pair.abs() > tolerance, pair, 0.0)
    eye = torch.eye(len(at.skip), dtype=pair.dtype, device=pair.device)
    live = pair.any(1)
    hidden = torch.cat([at.hidden[~single], torch.cat([eye, -eye])[live]])
    output = torch.cat([at.output[~single], pair[live]])
    support, used = torch.cat([at.support[~single], hidden[int((~single).sum()) :] != 0]), output != 0
    return Neurons(hidden, support, output, used).kept(support, used)


def merged(at: Neurons, cosine: float) -> Neurons:
    """Merge neurons, the closest first, while the cosine of two is above ``cosine`` or, turned, below its negative.

    Without a linear part neurons do not turn. The merged row ``u`` is the mean, weighted by the output weights' sizes;
    the outputs add up.
    """
    size = at.hidden.norm(dim=1, keepdim=True).clamp(min=1e-300)
    u, a, support, used, skip = at.hidden / size, at.output * size, at.support.clone(), at.used.clone(), at.skip
    live = torch.ones(len(u), dtype=torch.bool, device=u.device)
    close = (u @ u.T).triu(1)
    close = close if skip is not None else close.clamp(min=0.0)
    order = close.abs().flatten().argsort(descending=True)
    for flat in order[: int((close.abs() >= cosine).sum())].tolist():
        i, j = divmod(flat, len(u))
        if not (live[i] and live[j]):
            continue
        turn = -1.0 if float(close[i, j]) < 0.0 else 1.0
        if turn < 0.0 and skip is not None:
            skip = skip + u[j][:, None] * a[j]
        weight = a[[i, j]].norm(dim=1)
        u[i] = torch.nn.functional.normalize(weight[0] * u[i] + turn * weight[1] * u[j], dim=0)
        a[i] += a[j]
        support[i] |= support[j]
        used[i] |= used[j]
        live[j] = False
    return Neurons(u[live], support[live], a[live], used[live], skip)
