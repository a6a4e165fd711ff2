"""The search: propose, fit, prune, decode, and keep the best network within the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.linalg.moments import looks_normal
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples, linear_fit
from mlpiht_cli.solvers.realloc.decode import merged
from mlpiht_cli.solvers.realloc.exchange import MOST, Exchange
from mlpiht_cli.solvers.realloc.finish import CERTAIN, NEAR, Finish, without_specks
from mlpiht_cli.solvers.realloc.gates import GatePursuit
from mlpiht_cli.solvers.realloc.limits import Limits, largest
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton
from mlpiht_cli.solvers.realloc.one_sided import finished
from mlpiht_cli.solvers.realloc.one_sparse import even_part, with_one_sparse
from mlpiht_cli.solvers.realloc.propose import MomentProposal, boundary_share, new_inputs
from mlpiht_cli.solvers.realloc.prune import Elimination
from mlpiht_cli.solvers.realloc.wide import AnyInputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

EXACT = 1e-14
"""Loss below which a network counts as exact, relative to the targets' mean square; float32 targets allow 1e-15."""
ENOUGH = 1e-11
"""Loss, relative, at which steps of a round end: near float32's rounding errors, where a finished network can tell."""
SAMPLES_PER_INPUT = 4
"""Samples per input below which the search does not run: a free linear part would fit too much."""
START = 1e-4
"""Loss, relative, below which rounds begin with the network of the exchanges, which has nearly all neurons right."""
WANTING = 2.0
"""Ratio of the losses of two networks, one with a skip connection, that noise is no reason for."""
TRIAL = 2
"""Exchanges without progress after which rounds begin."""
MOST_INPUTS = 200
"""Inputs above which there are rounds for normal inputs alone: those of any inputs take too long."""
VAIN = 0.01
"""Loss, relative to the targets' variance, above which rounds of any inputs that stall are in vain."""
NEARLY_ONE = 0.9
"""A neuron whose largest weight is above this share of its norm may hide a one-sparse neuron."""
HALVED = 3
"""Neurons that are halved in a round."""
ROUNDING = (1e-5, 1e-6, 1e-7)
"""Weights below these shares of the largest are dropped on trial as rounding errors of an exact network."""


@dataclass
class Search:
    """Rounds of proposals on a network with a skip connection, and the best finished network so far.

    Attributes
    ----------
    samples, limits
        The data and the limits of the answer.
    best
        Best network within the limits, and its loss.
    moves
        Actions with the number of neurons, ``(turn, name, count)``: a turn is a round or an exchange; polishing is 0.
    """

    samples: Samples
    limits: Limits
    draws: np.random.Generator
    best: tuple[Blocks, float]
    moves: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._floor = EXACT * float(self.samples.y.double().square().mean())
        self._loss, self._stalled, self._first = math.inf, 0, self.best[1]
        self._round, self._turn = 0, 0
        # Start empty: finding planted neurons is easier than undoing a start that merged them.
        self._blocks = self.best[0].kept(torch.zeros_like(self.best[0].support))
        self._finished = Finish(self.samples, self.limits, self._floor)
        signs = self._blocks.outputs is not None
        self._propose = MomentProposal(signs=signs)
        self._gates = False  # whether rounds assume nothing of the inputs
        inputs = self.limits.inputs, 6 * self.limits.s
        pursue = GatePursuit(signs=signs)
        self._any = AnyInputs(pursue, self.limits.blocks, self.limits.weights, inputs, ENOUGH / EXACT * self._floor)

    @property
    def is_exact(self) -> bool:
        """Whether the best network fits the targets exactly."""
        return self.best[1] < self._floor

    @property
    def is_wanting(self) -> bool:
        """Whether a network with a skip connection is far better than the best one, so that noise is no reason."""
        return not self.is_exact and (math.isinf(self._loss) or self.best[1] > WANTING * self._loss)

    @property
    def is_possible(self) -> bool:
        """Whether rounds can help: there are enough samples, and not too many inputs that are not normal."""
        features = self.samples.features
        live = int((features != 0).any(1).sum())
        return self.samples.n >= SAMPLES_PER_INPUT * live and (live <= MOST_INPUTS or looks_normal(features))

    def turns_to_gates(self) -> bool:
        """Go on with rounds that assume nothing of the inputs; False if rounds are so already, or of no use."""
        even = self.best[1] <= WANTING * self._loss and self._loss <= WANTING * self.best[1]
        if self._gates or even or not self._any.sees(self.samples, self._blocks):
            return False
        self._gates, self._stalled = True, 1
        return True

    @property
    def stalled(self) -> int:
        """Number of rounds since the loss last fell by a tenth; wide rounds count twice."""
        return self._stalled

    def _newton(self, steps: int) -> GaussNewton:
        """Steps of a round: many if halved neurons are to part under noise, with all curvature at the last digits."""
        gain = 1e-3 if self._stalled % 2 else 0.05
        floor = self._least if self._stalled else ENOUGH / EXACT * self._floor
        return GaussNewton(steps, gain, floor, sampled=self.samples.coarse is None)

    @property
    def _least(self) -> float:
        """Loss below which no step of a round and no neuron counts: none in float64, where one gate is a last digit."""
        return self._floor if self.samples.coarse is None else 0.0

    @property
    def is_vain(self) -> bool:
        """Whether rounds that assume nothing of the inputs stall far from the targets: at noise, or with no network."""
        if not self._gates or not self._stalled or self.is_wanting:
            return False
        return self._loss > VAIN * float(self.samples.y.double().var())

    def polish(self) -> None:
        """Fit gates and weights on the support of the best network, and offer the result."""
        if self.best[0].nnz:
            self._offer(GaussNewton(10, floor=self._floor)(self.samples, self.best[0]))

    def exchange(self) -> Iterator[float]:
        """Exchange weights of the best network for better ones, as long as that helps; yield the loss."""
        for last in self._exchanges(MOST):
            yield self._exchanged(last)

    def begin(self) -> Iterator[float]:
        """Try a few exchanges, which may do without rounds, or give them a network to begin with; yield the loss.

        Their network counts only if it is nearly exact: exchanges use the whole budget, and under noise that is more
        than what is certain.
        """
        found = list(self._exchanges(TRIAL))
        if not found or found[-1].loss > START / EXACT * self._floor:
            return
        last = found[-1]
        self._blocks = replace(last.blocks, skip=torch.zeros_like(last.blocks.weights[0]))
        if last.loss < NEAR / EXACT * self._floor:
            grown = self._finished.grown(self._finished.precise(last.blocks))
            yield self._exchanged(self._finished.certain(grown.blocks, grown.loss))

    def _exchanges(self, patience: int) -> Iterator[Fitted]:
        floor = ENOUGH / EXACT * self._floor
        return Exchange(self.limits.m, self.limits.s, floor, patience)(self.samples, self.best[0])

    def _exchanged(self, fitted: Fitted) -> float:
        """Offer a network of an exchange; return the least loss."""
        self._turn += 1
        self._note("exchanged", len(fitted.blocks.weights))
        self._offer(fitted)
        return self.best[1]

    def tidy(self) -> None:
        """Drop weights of an exact network that are rounding errors; they occur if the budget is too large."""
        blocks, loss = self.best
        for share in ROUNDING if self.is_exact else ():
            fewer = blocks.kept(blocks.weights.abs() > share * blocks.weights.abs().max())
            after = self.samples.loss(fewer)
            if after <= 1.1 * loss:
                self.best = (fewer, after)
                break
        if self._round and any(name == "accepted" for _, name, _ in self.moves):
            fitted = self._finished.certain(self.best[0], loss)
            if self.is_exact or fitted.loss <= self._first:
                self.best = (fitted.blocks, fitted.loss)
        if self.is_exact and self.best[0].nnz:
            fitted = self._finished.sparsest(self._finished.precise(self.best[0]))
            self.best = (fitted.blocks, fitted.loss)

    def round(self) -> None:
        """Run one round of proposals."""
        if not self._round:  # not earlier: with thousands of inputs and no rounds, it would take most of the time
            if self._blocks.skip is None:
                self._blocks = replace(self._blocks, skip=linear_fit(self.samples))
            self._gates = not looks_normal(self.samples.features)
        self._round, self._turn = self._round + 1, self._turn + 1
        if self._stalled and self._loss < NEAR / EXACT * self._floor:  # what is missing is below rounding errors
            self.samples = self.samples.double
        fitted = self._merged(self._any_round() if self._gates else self._moments_round())
        stalls = fitted.loss >= 0.9 * self._loss
        self._stalled = self._stalled + 1 + (self._gates and self._stalled > 0) if stalls else 0
        if fitted.loss < self._loss:
            self._blocks, self._loss = fitted.blocks, fitted.loss
        self._finish(fitted)

    def _moments_round(self) -> Fitted:
        """Return the network after a round with proposals of moments."""
        grown = self._grown()
        # Halved neurons need more steps; the elimination would take their remaining misfit for noise.
        fitted = self._newton(10 if self._stalled % 2 else 3)(self.samples, grown)
        for z, budget, steps in ((2.5, 2 * self.limits.weights, 2), (3.5, self.limits.weights, 6)):
            fitted = self._newton(steps)(self.samples, Elimination(z, budget)(fitted))
        return fitted

    def _any_round(self) -> Fitted:
        """Return the network after a round that assumes nothing of the inputs; a wide one after a stall."""
        if self._stalled:
            tried = self._any.wide(self.samples, self._blocks, self._loss, self.draws)
        else:
            tried = self._any.round(self.samples, self._blocks)
        for name, count in tried.moves:
            self._note(name, count)
        return tried.fitted

    def _grown(self) -> Blocks:
        """Return the network with new inputs for its neurons, new neurons, and a one-sparse neuron on every input."""
        blocks, samples = self._blocks, self.samples
        known = len(blocks.weights)
        residual = samples.residual(blocks)
        whiten = min(100, 3 * self.limits.m) if not known or self._stalled else 0
        room = max(self.limits.inputs, 2 * self.limits.weights - blocks.nnz)
        neurons = self._propose(samples, residual, whiten, self.draws).first(max(5, self.limits.blocks - known))
        neurons = largest(neurons, Limits(len(neurons.weights), room))
        self._note("proposed", len(neurons.weights))
        if known:
            noise = float(residual.double().std()) * math.sqrt(samples.n) / 2.0
            more = new_inputs(samples.slopes(blocks, residual), blocks.support, noise, self.limits.inputs)
            blocks = replace(blocks, support=blocks.support | more)
        blocks = blocks.joined(neurons)
        return with_one_sparse(blocks, self._halved(residual), even_part(samples, residual)) if known else blocks

    def _halved(self, residual: Tensor) -> list[int]:
        """Return neurons to halve in every other round without progress: nearly one-sparse, misfit at the boundary."""
        if self._stalled % 2 == 0:
            return []
        weights = self._blocks.weights
        share = boundary_share(self.samples, weights, residual)
        nearly = weights.abs().amax(1) > NEARLY_ONE * weights.norm(dim=1)
        nearly &= self._blocks.support.sum(1) > 1
        order = torch.where(nearly, share, 0.0).argsort(descending=True)[: int(nearly.sum())]
        first = HALVED * (self._stalled // 2)
        halved = [int(j) for j in order[first : first + HALVED]]
        self._note("halved", len(halved))
        return halved

    def _merged(self, fitted: Fitted) -> Fitted:
        """Merge blocks that may be one neuron, unless the loss rises."""
        for cosine in (0.95, 0.99, 0.999, 0.99999):
            fewer = merged(fitted.blocks, cosine)
            if len(fewer.weights) == len(fitted.blocks.weights):
                break
            tried = self._newton(4)(self.samples, fewer)
            saved = max(1, fitted.blocks.nnz - tried.blocks.nnz)
            rise = CERTAIN**2 * saved / self.samples.n if self._stalled else 0.1
            if tried.loss < max((1.0 + min(0.1, rise)) * fitted.loss, self._least):
                self._note("merged", len(fitted.blocks.weights) - len(fewer.weights))
                return tried
        return fitted

    def _finish(self, fitted: Fitted) -> None:
        """Offer the network within the limits and without a skip connection; stop at the first exact one."""
        for found in self._opened(fitted.blocks) if self._gates else self._finished(fitted):
            found = self._finished.corrected(found, self._stalled > 0 and found.loss < 2.0 * fitted.loss)
            self._offer(found)
            if self.is_exact:
                break

    def _opened(self, blocks: Blocks) -> Iterator[Fitted]:
        """Yield finished networks with a neuron that is open on all samples, for inputs of any distribution."""
        for keep in without_specks(blocks) if blocks.nnz else ():
            for clear in finished(self.samples, blocks.kept(keep), self.limits.m, self.limits.s):
                yield self._finished.settled(clear)

    def _offer(self, fitted: Fitted) -> None:
        if fitted.loss < self.best[1]:
            self.best = (fitted.blocks, fitted.loss)
            self._note("accepted", len(fitted.blocks.weights))

    def _note(self, name: str, count: int) -> None:
        self.moves.append((self._turn, name, count))
