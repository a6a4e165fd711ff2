"""Fewer weights: the unimportant ones of a dense start, backward elimination, and neurons that are one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc.prune import RIDGE, Stop
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.newton import Fitted

if TYPE_CHECKING:
    from torch import Tensor


def curvatures(samples: DeepSamples, net: Deep) -> Deep:
    """Return the sums of squared derivatives in all weights, as if the support were full, in the form of a network."""
    first, second, direct = (torch.zeros_like(part) for part in (net.first, net.second, net.direct))
    for run in tiles(samples.n):
        at = samples.layers(net, run)
        squares = at.hidden.square()
        first += at.slope.square() @ samples.features[:, run].square().T
        second += at.opened @ squares.T
        direct += squares.sum(1)
    return Deep(first, second, direct)


def without_unimportant(samples: DeepSamples, net: Deep, limit: float, most: int) -> Deep:
    """Drop weights, the cheapest first, while the loss stays within ``limit``, and at least down to ``most`` weights.

    The price of a weight alone is its square times its curvature; the others do not move.
    """
    net = net.scaled().tidied()
    size = curvatures(samples, net)
    price = torch.cat([(a.square() * b).flatten() for a, b in zip(_parts(net), _parts(size), strict=True)])
    order = price.argsort()
    low, high = 0, len(order)
    while low < high - 1:
        middle = (low + high) // 2
        if samples.loss(_without(net, order[:middle])) <= limit:
            low = middle
        else:
            high = middle
    return _without(net, order[: max(low, len(order) - most)]).tidied()


def _parts(net: Deep) -> tuple[Tensor, Tensor, Tensor]:
    return net.first, net.second, net.direct


def _without(net: Deep, places: Tensor) -> Deep:
    """Return the network without the entries at ``places``, counted through all its parts."""
    flat = torch.cat([part.flatten() for part in _parts(net)])
    flat[places] = 0.0
    a = net.first.numel()
    b = a + net.second.numel()
    return Deep(flat[:a].reshape(net.first.shape), flat[a:b].reshape(net.second.shape), flat[b:])


@dataclass(frozen=True)
class DeepElimination:
    """Remove weights of both layers one by one until each is worth ``z`` standard deviations; the others adjust.

    As with one layer (:class:`~mlpiht_cli.solvers.realloc.prune.Elimination`), but the largest weight of a first-layer
    neuron stays until the neuron has no weight in the second layer.
    """

    z: float
    budget: int
    ridge: float = RIDGE

    def __call__(self, fitted: Fitted) -> Deep:
        """Return the network on the remaining support, of at most ``budget`` weights, with adjusted weights."""
        net, places = fitted.net, fitted.places
        values = places.taken(net.first, net.second, net.direct)
        if not len(values):
            return net
        stop = Stop(self.z**2 * fitted.loss, max(0, self.budget - len(net.first)), len(values), self.ridge)
        moved, alive = stop.eliminated(fitted.hessian, values)
        return places.put(net, torch.where(alive, moved, 0.0)).tidied()


def merged(net: Deep, cosine: float) -> Deep:
    """Merge neurons of a layer whose weights have a cosine above ``cosine``; in the second, or below its negative.

    In the second, ``relu(z) + relu(-c z) = (1 + c) relu(z) - c z``, and the last term goes to the direct part.
    """
    net = _first_merged(net, cosine)
    v, direct = net.second.clone(), net.direct.clone()
    alike, live = _cosines(v), torch.ones(len(v), dtype=torch.bool, device=v.device)
    for i, j in _closest(alike.abs(), cosine):
        if live[i] and live[j]:
            ratio = float(v[j].norm() / v[i].norm())
            if alike[i, j] < 0.0:
                direct -= ratio * v[i]
            v[i] *= 1.0 + ratio
            live[j] = False
    return Deep(net.first, v[live], direct).tidied()


def _first_merged(net: Deep, cosine: float) -> Deep:
    v, direct = net.second.clone(), net.direct.clone()
    live = torch.ones(len(net.first), dtype=torch.bool, device=v.device)
    for i, j in _closest(_cosines(net.first), cosine):
        if live[i] and live[j]:
            ratio = float(net.first[j].norm() / net.first[i].norm())
            v[:, i] += ratio * v[:, j]
            direct[i] += ratio * direct[j]
            live[j] = False
    return Deep(net.first[live], v[:, live], direct[live])


def _cosines(rows: Tensor) -> Tensor:
    """Return the cosines of every pair of rows above the diagonal, ``[b, b]``."""
    unit = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-30)
    found: Tensor = (unit @ unit.T).triu(1)
    return found


def _closest(alike: Tensor, least: float) -> list[tuple[int, int]]:
    """Return the pairs above ``least``, the largest first."""
    rows, cols = (alike > least).nonzero(as_tuple=True)
    order = alike[rows, cols].argsort(descending=True)
    return list(zip(rows[order].tolist(), cols[order].tolist(), strict=True))
