"""New weights for a network that is not exact: those in whose direction the residual falls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.prune import curvatures

if TYPE_CHECKING:
    from torch import Tensor

Z_NEW = 3.5  # standard deviations that the gradient of a new weight is from zero
SMALL = 1e-6  # size of a new weight
THIN = 1e-3  # size of the negative weight of a new second-layer neuron, relative to the positive one


def grown(samples: DeepSamples, net: Deep, most: int) -> Deep:
    """Return the network with up to ``most`` new weights, those whose gradients are the most significant.

    Inputs of first-layer neurons, weights of second-layer neurons and of the direct part are tried, and one-sparse
    neurons of both signs on all inputs, as a part of each second-layer neuron. ``z = |J^T r| / (|J| rms(r))``.
    """
    h, d = net.first.shape
    eye = torch.eye(d, dtype=net.first.dtype, device=net.first.device)
    wide = net.scaled().joined(Deep(torch.cat([eye, -eye]), eye.new_zeros(0, 2 * d), eye.new_zeros(2 * d)))
    slopes, size = samples.slopes(wide), curvatures(samples, wide)
    noise = math.sqrt(max(slopes.loss, 1e-300))
    parts = []
    for value, slope, curve in (
        (wide.first, slopes.first, size.first),
        (wide.second, slopes.second, size.second),
        (wide.direct, slopes.direct, size.direct),
    ):
        z = slope / (curve.sqrt() * noise).clamp(min=1e-30)
        parts.append(torch.where((value == 0.0) & (curve > 0.0), z, 0.0))
    parts[0][h:] = 0.0
    every = torch.cat([part.abs().flatten() for part in parts])
    limit = max(Z_NEW, float(every.topk(min(most, len(every))).values[-1]))
    first, second, direct = (
        torch.where(z.abs() >= limit, SMALL * z.sign(), value)
        for z, value in zip(parts, (wide.first, wide.second, wide.direct), strict=True)
    )
    used = (second != 0).any(0) | (direct != 0)
    return Deep(first[used], second[:, used], direct[used])


def split(samples: DeepSamples, net: Deep, most: int) -> Deep:
    """Return the network with up to ``most`` new second-layer neurons, split off the direct part.

    A neuron ``relu(p . h - q h_j)`` with positive p and a small q is nearly a direct weight p; what is missing is
    ``-q h_j 1[p . h > 0]``. So a pair (i, j) counts by how significant, and negative, the sum of ``h_j 1[h_i > 0]`` and
    the residual is; further neurons join i as long as that makes the sum more significant. The weights p leave the
    direct part, so that the function stays.
    """
    net = net.scaled()
    every = samples.layers(net, slice(None))
    rest, opened = samples.y - every.output, (every.hidden > 0).to(every.hidden.dtype)
    noise = math.sqrt(max(float(rest.double().square().mean()), 1e-300))
    z = _significance(opened, every.hidden, rest / noise).fill_diagonal_(0.0)
    second, direct, taken = [net.second], net.direct.clone(), set[int]()
    size = torch.cat([net.second.abs(), net.direct.abs()[None]]).amax(0)
    for flat in z.flatten().argsort()[: 10 * most].tolist():
        i, j = divmod(flat, len(direct))
        if len(second) > most or float(z[i, j]) > -Z_NEW:
            break
        if j in taken:
            continue
        carriers = _carriers(opened, every.hidden[j : j + 1], rest / noise, i)
        carriers[j] = False
        row = torch.where(carriers, 0.5 * size, 0.0)
        row[j] = -THIN * float(row.max())
        direct -= row.clamp(min=0.0)
        second.append(row[None])
        taken.add(j)
    return Deep(net.first, torch.cat(second), direct)


def _significance(gates: Tensor, hidden: Tensor, rest: Tensor) -> Tensor:
    """Return the sums of gates times hidden activations times the residual, in standard deviations, ``[b, h]``."""
    return (gates @ (hidden * rest).T) / (gates @ hidden.square().T).sqrt().clamp(min=1e-30)


def _carriers(opened: Tensor, column: Tensor, rest: Tensor, first: int) -> Tensor:
    """Return the neurons one of which is open where ``column`` ``[1, n]`` is missing, bool ``[h]``."""
    gate, found = opened[first], torch.zeros(len(opened), dtype=torch.bool, device=rest.device)
    found[first] = True
    least = float(_significance(gate[None], column, rest))
    for _ in range(len(opened)):
        wider = torch.maximum(opened, gate)
        z = torch.where(found, 0.0, _significance(wider, column, rest)[:, 0])
        best = int(z.argmin())
        if float(z[best]) > 1.02 * least:
            break
        gate, least = wider[best], float(z[best])
        found[best] = True
    return found
