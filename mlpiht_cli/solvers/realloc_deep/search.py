"""The search: dense starts, fits of all weights, fewer weights, new weights, and signs, until a network is exact."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc_deep.decode import turned
from mlpiht_cli.solvers.realloc_deep.grow import grown, split
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.newton import Fitted, Marquardt
from mlpiht_cli.solvers.realloc_deep.prune import DeepElimination, merged, without_unimportant
from mlpiht_cli.solvers.realloc_deep.sparsest import Sparsest
from mlpiht_cli.solvers.realloc_deep.starts import DenseStarts, relevant_inputs

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 1e-13
"""Mean squared error, relative to the targets', at which steps stop: the rounding of float32 data."""
EXACT = 1e-11
"""The same below which a network counts as exact."""
FEW = 20_000
"""Samples of all fits but the last ones."""
SURVEYS = 4
"""Largest number of dense starts made to find the relevant inputs."""
SHORT, LONG = (1500, 2), (4000, 4)
"""Steps and networks of the first dense starts, and of the others."""
CLOSE = 1e-10
"""Loss, relative to the targets' mean square, below which no weights are added."""
SAME = 5e-3
"""Relative difference of the losses of two starts, that are not exact, below which there are no further ones."""
SHRINKS = 8
"""Largest number of eliminations in a row."""
GROWTHS = 6
"""Largest number of times that an attempt adds weights."""
SPLITS = 3
"""Second-layer neurons that are split off the direct part at a time."""
COSINES = (0.9, 0.95, 0.99, 0.999, 0.9999)
SPECKS = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)
"""Losses, relative to the targets' mean square, up to which weights are dropped on trial from a network near them."""
NEAR = 1e-4
"""Loss, relative to the targets' mean square, below which the best network gets the weights that it lacks."""
TOLERANCES = (1e-2, 1e-3, 1e-4)


@dataclass
class DeepSearch:
    """Attempts from dense starts, and the best finished network so far.

    Attributes
    ----------
    samples
        The data; inputs and targets have mean squares of about 1.
    limits
        Neurons of each layer and weights of both layers.
    best
        Best network within the limits, whose direct part is not negative, and its loss.
    moves
        Actions with the number of neurons, ``(round, name, count)``.
    """

    samples: DeepSamples
    limits: Limits
    draws: np.random.Generator
    best: tuple[Deep, float] | None = None
    moves: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unit = float(self.samples.y.double().square().mean())
        self._few, self._round, self._completed = self.samples.first(FEW), 0, math.inf

    @property
    def is_exact(self) -> bool:
        """Whether the best network fits the targets exactly."""
        return self.best is not None and self.best[1] < EXACT * self._unit

    def rounds(self, attempts: int) -> Iterator[float]:
        """Run attempts until a network is exact, or two starts end at one loss; yield the loss after each fit."""
        inputs = torch.zeros_like(self.samples.features[:, 0], dtype=torch.bool)
        ends = list[float]()
        for _ in range(attempts):
            inputs, starts = self._surveyed(inputs)
            for start in starts:
                self._note("proposed", start.neurons[0])
                loss = math.inf
                for fitted in self._followed(start):
                    self._round += 1
                    loss = min(loss, fitted.loss)
                    yield fitted.loss
                self._complete()
                if self.is_exact or any(abs(loss - end) < SAME * end for end in ends):
                    return
                if loss > CLOSE * self._unit:
                    ends.append(loss)

    def _surveyed(self, inputs: Tensor) -> tuple[Tensor, list[Deep]]:
        """Return the inputs that the targets, and what dense starts leave of them, depend on, and the last starts."""
        residual, starts = self.samples.y, list[Deep]()
        for turn in range(SURVEYS):
            more = inputs | relevant_inputs(self.samples, residual)
            fresh, inputs = int((more & ~inputs).sum()), more
            if not more.any() or (starts and fresh < (1 if turn == 1 else 3)):
                break
            is_first = turn == 0 and fresh == len(inputs.nonzero())
            dense = DenseStarts(self.limits, *(SHORT if is_first else LONG))
            starts = dense(self.samples, inputs, self.draws)
            residual = self.samples.residual(starts[0])
        return inputs, starts

    def _followed(self, start: Deep) -> Iterator[Fitted]:
        """Fit a dense start, with fewer and fewer weights; add weights as long as that helps, and offer the result."""
        most = max(200, 4 * self.limits.s)
        some = self.samples.first(FEW // 2)
        net = without_unimportant(some, start, 3.0 * some.loss(start), most)
        fitted = self._shrunk(self._fit(net, 3), (2.5, 3.5))
        yield fitted
        for _ in range(GROWTHS):
            if fitted.loss < CLOSE * self._unit:
                break
            wider = split(self._few, fitted.net, SPLITS)
            more = grown(self._few, wider, max(10, self.limits.s // 3))
            tried = self._shrunk(self._fit(more, 10), (2.5, 3.5))
            yield tried
            if tried.loss > 0.8 * fitted.loss:
                break
            fitted = tried
        self._finish(fitted.net)

    def _fit(self, net: Deep, rounds: int) -> Fitted:
        return Marquardt(rounds, floor=FLOOR * self._unit)(self._few, net)

    def _shrunk(self, fitted: Fitted, zs: Sequence[float]) -> Fitted:
        """Eliminate and merge as long as the network gets smaller or its loss falls much."""
        for turn in range(SHRINKS):
            before = fitted
            z = zs[min(turn, len(zs) - 1)]
            fitted = self._merged(self._fit(DeepElimination(z, 4 * self.limits.s)(fitted), 8))
            if turn >= len(zs) and fitted.net.nnz >= before.net.nnz and fitted.loss > 0.5 * before.loss:
                break
        return fitted

    def _merged(self, fitted: Fitted) -> Fitted:
        """Merge neurons that may be one, unless the loss rises."""
        for cosine in COSINES:
            fewer = merged(fitted.net, cosine)
            if fewer.neurons == fitted.net.neurons:
                break
            tried = self._fit(fewer, 8)
            if tried.loss < max(2.0 * fitted.loss, 10.0 * FLOOR * self._unit):
                self._note("merged", sum(fitted.net.neurons) - sum(fewer.neurons))
                return tried
        return fitted

    def _finish(self, net: Deep) -> None:
        """Choose signs, cut the network to the limits, fit it to all samples, and offer it."""
        net = self._cleared(net)
        for tolerance in TOLERANCES:
            fitted = self._fit(self._cleared(turned(net, tolerance)), 8)
            if fitted.net.nnz > self.limits.s or fitted.loss > CLOSE * self._unit:
                fitted = self._fit(DeepElimination(3.5, self.limits.s)(fitted), 8)
            clear = within(fitted.net, self.limits)
            if self.best is None or self._few.loss(clear) < 2.0 * self.best[1]:
                last = Marquardt(8, floor=FLOOR / 10.0 * self._unit, sampled=False)(self.samples, clear)
                self._offer(last.net, last.loss)
            if self.is_exact:
                break

    def _cleared(self, net: Deep) -> Deep:
        """Drop weights of a network that is nearly exact as far as a fit of the others makes up for them."""
        for share in SPECKS if self._few.loss(net) < SPECKS[0] * self._unit else ():
            fewer = without_unimportant(self._few, net, share * self._unit, net.nnz)
            if fewer.nnz < net.nnz:
                fitted = self._fit(fewer, 8)
                if fitted.loss < EXACT * self._unit:
                    return fitted.net
        return net

    def _complete(self) -> None:
        """Add weights that the best network lacks, on all samples: some tell on a few of them only."""
        net, loss = self.best or (Deep.empty(0, self.samples.y), math.inf)
        if EXACT * self._unit < loss < min(NEAR * self._unit, self._completed):
            self._completed = loss
            found = Sparsest(self.samples, self.limits).completed(net)
            self._offer(found, self.samples.loss(found))

    def _offer(self, net: Deep, loss: float) -> None:
        first, second = net.neurons
        fits = net.nnz <= self.limits.s and max(first, second) <= self.limits.m and bool((net.direct >= 0.0).all())
        if fits and (self.best is None or loss < self.best[1]):
            self.best = (net, loss)
            self._note("accepted", first)

    def _note(self, name: str, count: int) -> None:
        if count:
            self.moves.append((self._round, name, count))


def within(net: Deep, limits: Limits) -> Deep:
    """Keep the largest neurons and weights within the limits."""
    net = Deep(net.first, net.second, net.direct.clamp(min=0.0)).tidied()
    rows = net.second.norm(dim=1).argsort(descending=True)
    net = Deep(net.first, net.second[rows[: limits.m - bool(net.direct.any())]], net.direct).tidied()
    size = net.first.norm(dim=1) * (net.second.norm(dim=0) + net.direct)
    order = size.argsort(descending=True)[: limits.m]
    net = Deep(net.first[order], net.second[:, order], net.direct[order]).tidied()
    while net.nnz > limits.s:  # rare: elimination keeps the budget
        size = net.first.norm(dim=1) * (net.second.norm(dim=0) + net.direct)
        order = size.argsort(descending=True)[:-1]
        net = Deep(net.first[order], net.second[:, order], net.direct[order]).tidied()
    return net
