"""Levenberg-Marquardt steps over both layers on a fixed support; a step must lower the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import gram, tiles
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples, Slopes

if TYPE_CHECKING:
    from torch import Tensor

TILE_NUMBERS = 2**21  # size of the columns of a tile: 8 MB in float32
LEAST_SAMPLES = 5_000  # fewest samples for a sampled curvature
SAMPLES_PER_WEIGHT = 20  # samples per weight for a sampled curvature
DAMPING = (1e-9, 1e-4)  # least and first damping, relative to the diagonal
TRIES = 12  # dampings tried for a step
CONVERGED = 0.05  # share of the least gain of a step below which what it is expected to gain is not tried


@dataclass(frozen=True)
class Places:
    """Where the free weights of a network are: first layer, second layer and direct part, in this order.

    The largest weight of a first-layer neuron is not free: with it, the scale between the layers would be, and every
    weight of a neuron of one weight would look needless.

    Attributes
    ----------
    first, second
        Row and column of each free weight, int64 ``[2, p]``.
    direct
        Neuron of each weight of the direct part, int64.
    """

    first: Tensor
    second: Tensor
    direct: Tensor

    @classmethod
    def of(cls, net: Deep) -> Places:
        """Return the places of the free weights."""
        free = net.first != 0
        if len(free):
            free[torch.arange(len(free), device=free.device), net.first.abs().argmax(1)] = False
        return cls(free.nonzero().T, (net.second != 0).nonzero().T, net.direct.nonzero()[:, 0])

    @property
    def count(self) -> int:
        """Number of free weights."""
        return self.first.shape[1] + self.second.shape[1] + len(self.direct)

    def taken(self, first: Tensor, second: Tensor, direct: Tensor) -> Tensor:
        """Return the entries at the free weights, ``[p]``."""
        return torch.cat([first[tuple(self.first)], second[tuple(self.second)], direct[self.direct]])

    def put(self, net: Deep, values: Tensor) -> Deep:
        """Return the network with ``values`` at the free weights."""
        first, second, direct = net.first.clone(), net.second.clone(), net.direct.clone()
        a, b = self.first.shape[1], self.first.shape[1] + self.second.shape[1]
        first[tuple(self.first)] = values[:a]
        second[tuple(self.second)] = values[a:b]
        direct[self.direct] = values[b:]
        return Deep(first, second, direct)

    def columns(self, samples: DeepSamples, net: Deep, run: slice) -> Tensor:
        """Return the derivatives of the outputs of a run of samples in the free weights, ``[p, samples]``."""
        at, x = samples.layers(net, run), samples.features[:, run]
        return torch.cat(
            [
                at.slope[self.first[0]] * x[self.first[1]],
                at.opened[self.second[0]] * at.hidden[self.second[1]],
                at.hidden[self.direct],
            ]
        )


@dataclass(frozen=True)
class Fitted:
    """A network, its loss, and the curvature (float64 ``[p, p]``, of all samples) near it at ``places``."""

    net: Deep
    loss: float
    places: Places
    hessian: Tensor


def curvature(samples: DeepSamples, net: Deep, places: Places, count: int) -> Tensor:
    """Return ``J^T J`` of the derivatives J in the free weights, estimated from the first ``count`` samples."""
    size, seen = places.count, 0
    hessian = torch.zeros(size, size, dtype=torch.float64, device=samples.y.device)
    for run in tiles(min(count, samples.n), max(256, min(4096, TILE_NUMBERS // max(size, 1)))):
        hessian += gram(places.columns(samples, net, run))
        seen = run.stop
    samples.tally.add(seen)
    return hessian.mul_(samples.n / max(seen, 1))


@dataclass(frozen=True)
class Marquardt:
    """Damped Gauss-Newton steps over both layers.

    Attributes
    ----------
    rounds
        Largest number of steps.
    gain
        Least relative fall of the loss for another step.
    floor
        Loss below which the steps stop.
    sampled
        Whether the curvature uses only a part of the samples; the gradient always uses all.
    damping
        Least and first damping, relative to the diagonal.
    """

    rounds: int
    gain: float = 0.02
    floor: float = 0.0
    sampled: bool = True
    damping: tuple[float, float] = DAMPING

    def __call__(self, samples: DeepSamples, net: Deep) -> Fitted:
        """Fit the weights on the support; the loss never rises."""
        net = net.scaled()
        places, damping, slow = Places.of(net), self.damping[1], 0
        count = max(LEAST_SAMPLES, SAMPLES_PER_WEIGHT * places.count) if self.sampled else samples.n
        for _ in range(self.rounds):
            slopes, hessian = samples.slopes(net), curvature(samples, net, places, count)
            found = self._step(samples, Fitted(net, slopes.loss, places, hessian), slopes, damping)
            if found is None:
                return Fitted(net, slopes.loss, places, hessian)
            net, loss, damping = found
            slow = slow + 1 if loss > (1.0 - self.gain) * slopes.loss else 0
            if loss < self.floor or slow >= 2:
                break
        return Fitted(net, loss, places, hessian)

    def _step(
        self, samples: DeepSamples, at: Fitted, slopes: Slopes, damping: float
    ) -> tuple[Deep, float, float] | None:
        """Return an accepted step, its loss and the next damping; None if no step gains anything."""
        diagonal = at.hessian.diagonal()
        floor = 1e-12 * float(diagonal.mean()) + 1e-30 if len(diagonal) else 0.0
        right = at.places.taken(slopes.first, slopes.second, slopes.direct)
        values = at.places.taken(at.net.first, at.net.second, at.net.direct)
        for _ in range(TRIES if len(values) else 0):
            factor, info = torch.linalg.cholesky_ex(at.hessian + torch.diag(damping * diagonal + floor))
            if int(info) == 0:
                step = torch.cholesky_solve(right[:, None], factor)[:, 0]
                if float(right @ step) < CONVERGED * self.gain * samples.n * at.loss:
                    return None
                moved = at.places.put(at.net, values + step)
                loss = samples.loss(moved)
                if loss < at.loss:
                    return moved, loss, max(damping / 10.0, self.damping[0])
            damping *= 10.0
        return None
