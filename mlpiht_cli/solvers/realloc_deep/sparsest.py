"""The fewest weights of an exact network: eliminations, merges and neurons written otherwise, fitted in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.newton import Fitted, Marquardt
from mlpiht_cli.solvers.realloc_deep.prune import DeepElimination, merged
from mlpiht_cli.solvers.realloc_deep.rewrite import rewritten

MOST = 100_000
"""Largest number of samples used."""
SHARES = tuple(10.0**-power for power in range(9, 17))
"""Prices of weights that are eliminated on trial, as rises of the loss relative to the targets' mean square."""
RIDGE = 1e-13
"""Share of the diagonal of a curvature in float64 that keeps its inverse finite along directions of equal functions."""
PARALLEL = (0.9999, 1.0 - 1e-7)
"""Cosines above which neurons are merged on trial."""
SLACK = 0.01
"""Relative rise of the loss that counts as none: fits stop there."""
Z = 3.5
"""Standard deviations that a dropped weight may be worth, with the misfit, which is rounding, as noise."""
LEAST = 1e-20
"""Loss, relative to the targets' mean square, that counts as none."""


@dataclass(frozen=True)
class Sparsest:
    """Drops weights of an exact network that it does not need.

    In float64 the misfit of a planted network is the rounding of its targets, so that whether a weight is needed is a
    test against known noise. Networks of equal functions form lines: a second-layer neuron ``relu(p relu(u) - q
    relu(w))`` stays the same when ``a w`` goes from u to ``relu(w)`` and ``relu(-w)``. The price of a weight that is 0
    at one end of such a line is 0.

    Attributes
    ----------
    samples
        The data, targets of mean square of about 1.
    limits
        Neurons and weights of the answer.
    """

    samples: DeepSamples
    limits: Limits

    def __call__(self, net: Deep) -> Deep:
        """Return a network of the same function with at most as many weights, or ``net`` itself."""
        inputs = (net.first != 0).any(0)
        some = self.samples.first(MOST)
        data = DeepSamples(some.features[inputs].double(), some.y.double())
        fit = Marquardt(12, gain=SLACK, floor=LEAST * _unit(data), sampled=False)
        at = fit(data, Deep(net.first[:, inputs], net.second, net.direct))
        while (fewer := self._fewer(data, fit, at)) is not None:
            at = fewer
        first = net.first.new_zeros(len(at.net.first), len(inputs))
        first[:, inputs] = at.net.first
        found = Deep(first, at.net.second, at.net.direct)
        fits = max(found.neurons) <= self.limits.m and found.nnz <= min(net.nnz, self.limits.s)
        return found if fits and not _negative(found) else net

    def _fewer(self, data: DeepSamples, fit: Marquardt, at: Fitted) -> Fitted | None:
        """Return the first network with fewer weights, and no more negative direct ones, that fits as well."""
        for net in _tries(data, at):
            if _size(net) < _size(at.net):
                found = fit(data, net)
                share = SLACK + Z**2 * max(1, at.net.nnz - net.nnz) / data.n
                limit = max((1.0 + share) * at.loss, LEAST * _unit(data))
                if found.loss <= limit and _size(found.net) < _size(at.net):
                    return found
        return None


def _tries(data: DeepSamples, at: Fitted) -> Iterator[Deep]:
    """Yield networks of nearly the same function that may have fewer weights."""
    unit, sizes = _unit(data), set[int]()
    for share in SHARES:
        z = math.sqrt(share * unit * data.n / max(at.loss, LEAST * unit))
        net = DeepElimination(z, at.net.nnz, RIDGE)(at)
        net = Deep(net.first, net.second, net.direct.clamp(min=0.0)).tidied()
        if net.nnz not in sizes:
            sizes.add(net.nnz)
            yield net
    for cosine in PARALLEL:
        yield merged(at.net, cosine)
    for net in rewritten(at.net):
        yield merged(net, PARALLEL[0])


def _unit(data: DeepSamples) -> float:
    return float(data.y.square().mean())


def _negative(net: Deep) -> int:
    return int((net.direct < 0.0).sum())


def _size(net: Deep) -> tuple[int, int]:
    """Direct weights below 0, which no network has, and weights."""
    return _negative(net), net.nnz
