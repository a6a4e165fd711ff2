"""The fewest weights of an exact network: eliminations, merges and neurons written otherwise, fitted in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc_deep.grow import grown
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.newton import Fitted, Marquardt
from mlpiht_cli.solvers.realloc_deep.prune import DeepElimination, merged
from mlpiht_cli.solvers.realloc_deep.rewrite import rewritten

if TYPE_CHECKING:
    from torch import Tensor

MOST = 100_000
"""Largest number of samples used."""
SHARES = tuple(10.0**-power for power in range(9, 17))
"""Prices of weights that are eliminated on trial, as rises of the loss relative to the targets' mean square."""
RIDGE = 1e-13
"""Share of the diagonal of a curvature in float64 that keeps its inverse finite along directions of equal functions."""
DAMPING = (1e-14, 1e-9)
"""Least and first damping: a direct weight can be told from that of a neuron by a few samples in ten thousand."""
ROUNDS = 40
"""Largest number of steps of a fit."""
PARALLEL = (0.9999, 1.0 - 1e-7)
"""Cosines above which neurons are merged on trial."""
SLACK, SLIGHT = 0.01, 1e-9
"""Relative change of the loss that counts as none, where fits stop: for trials, and for the answer."""
NEAR = 1e-13
"""Loss, relative to the targets' mean square, below which no weights are added."""
MORE = 10
"""Largest number of weights that are added at a time."""
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
        found = self._reduced(net)
        return found if found.nnz <= net.nnz and self._fits(found) else net

    def completed(self, net: Deep) -> Deep:
        """Return a network that is nearly exact with weights that it lacks, less those that it does not need."""
        data, loss = self._data(slice(None)), math.inf
        at = _fit(data, SLACK)(data, net)
        while at.loss < 0.5 * loss and at.loss > NEAR * _unit(data):
            loss = at.loss
            at = _fit(data, SLACK)(data, grown(data, at.net, MORE))
        return self._reduced(at.net)

    def _reduced(self, net: Deep) -> Deep:
        inputs = (net.first != 0).any(0)
        data = self._data(inputs)
        at = _fit(data, SLACK)(data, Deep(net.first[:, inputs], net.second, net.direct))
        while (fewer := self._fewer(data, at)) is not None:
            at = fewer
        last = _fit(data, SLIGHT)(data, at.net).net
        first = net.first.new_zeros(len(last.first), len(inputs))
        first[:, inputs] = last.first
        return Deep(first, last.second, last.direct)

    def _data(self, inputs: Tensor | slice) -> DeepSamples:
        some = self.samples.first(MOST)
        return DeepSamples(some.features[inputs].double(), some.y.double())

    def _fits(self, net: Deep) -> bool:
        return max(net.neurons) <= self.limits.m and net.nnz <= self.limits.s and not _negative(net)

    def _fewer(self, data: DeepSamples, at: Fitted) -> Fitted | None:
        """Return the first network with fewer weights, and no more negative direct ones, that fits as well."""
        for net in _tries(data, at):
            if _size(net) < _size(at.net):
                found = _fit(data, SLACK)(data, net)
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


def _fit(data: DeepSamples, gain: float) -> Marquardt:
    return Marquardt(ROUNDS, gain, LEAST * _unit(data), sampled=False, damping=DAMPING)


def _unit(data: DeepSamples) -> float:
    return float(data.y.square().mean())


def _negative(net: Deep) -> int:
    return int((net.direct < 0.0).sum())


def _size(net: Deep) -> tuple[int, int]:
    """Direct weights below 0, which no network has, and weights."""
    return _negative(net), net.nnz
