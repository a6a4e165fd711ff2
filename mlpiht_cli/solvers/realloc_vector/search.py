"""The search with several outputs: propose, fit, eliminate, decode, and keep the best network within the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import looks_normal
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc_vector.decode import merged, signed, unpaired
from mlpiht_cli.solvers.realloc_vector.finish import EXACT, Finish
from mlpiht_cli.solvers.realloc_vector.grow import Amplitudes, candidates, largest, linear_fit, with_inputs
from mlpiht_cli.solvers.realloc_vector.network import Neurons, VectorSamples
from mlpiht_cli.solvers.realloc_vector.newton import JointNewton, VectorFitted, weights_of
from mlpiht_cli.solvers.realloc_vector.propose import directions, second_moments
from mlpiht_cli.solvers.realloc_vector.prune import JointElimination

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES_PER_INPUT = 1.5
"""Samples per input below which the search does not run: a free linear part would fit too much."""
FINAL = 1e-13
"""The same in float64, for float32 targets."""
UNFIT = 1e-6
"""Outputs whose mean squared error is below this share of the largest are not looked at for new neurons."""
TRIMS = 8
"""Largest number of eliminations until a network is within its limits; each removes nearly all that is too much."""
CLOSE = 1e-7
"""Mean squared error, relative, below which a round's network is decoded; the last one is decoded in any case."""
TOLERANCES = (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Entries of the linear part that are dropped on trial, in standard deviations of the outputs."""


@dataclass
class VectorSearch:
    """Rounds of proposals on a network with a linear part, and the best finished network so far.

    Attributes
    ----------
    samples
        The data; the targets of every output have a root mean square of about one.
    limits
        The limits of the answer; weights count in both layers.
    units
        What a mean squared error of 1 of each output adds to the loss of the problem, ``[k]``.
    best
        Best network within the limits, and its loss.
    moves
        Actions with the number of neurons, ``(round, name, count)``; polishing is round 0.
    """

    samples: VectorSamples
    limits: Limits
    units: Tensor
    best: tuple[Neurons, float]
    moves: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loss, self._stalled, self._round, self._exact = math.inf, 0, 0, False
        features, k = self.samples.features, len(self.samples.y)
        none = torch.zeros(0, len(features), dtype=torch.float64, device=features.device)
        self._blocks = Neurons.of(none, none.new_zeros(0, k), none.new_zeros(len(features), k))
        self._newton, self._settle = JointNewton(3, floor=EXACT), Finish(self.samples)

    @property
    def is_exact(self) -> bool:
        """Whether a round ended in an exact network; a start that is exact may have more weights than it needs."""
        return self._exact

    @property
    def is_possible(self) -> bool:
        """Whether rounds can help: there are enough samples, and the moments of the inputs separate neurons."""
        features = self.samples.features
        return (
            len(self.samples.y) > 0 and self.samples.n >= SAMPLES_PER_INPUT * len(features) and looks_normal(features)
        )

    @property
    def stalled(self) -> int:
        """Number of rounds since the loss last fell by a tenth."""
        return self._stalled

    def polish(self) -> None:
        """Fit the weights on the supports of the best network, and offer the result."""
        if self.best[0].nnz:
            self._offer(JointNewton(10, floor=EXACT)(self.samples, self.best[0]))

    def round(self) -> None:
        """Run one round of proposals."""
        if not self._round:
            self._blocks = replace(self._blocks, skip=linear_fit(self.samples))
        self._round += 1
        fitted = self._newton(self.samples, self._grown())
        for z, budget, steps in ((2.5, 2 * self.limits.weights, 2), (3.5, self.limits.weights, 6)):
            less = JointElimination(z, budget)(fitted)
            fitted = JointNewton(steps, floor=EXACT)(self.samples, less)
        fitted = self._merged(fitted)
        gained = max(fitted.loss, EXACT) < 0.9 * self._loss
        self._stalled = 0 if gained else self._stalled + 1
        if fitted.loss < self._loss:
            self._blocks, self._loss = fitted.blocks, fitted.loss
        if fitted.loss < CLOSE:
            self._finish(fitted, 0.3 * math.sqrt(fitted.loss))

    def tidy(self) -> None:
        """Decode the last network of the search if none was exact."""
        if self._round and not self.is_exact:
            fitted = self._newton(self.samples, self._blocks)
            self._finish(fitted, 3.0 * math.sqrt(fitted.loss / self.samples.n))

    def _grown(self) -> Neurons:
        """Return the network with new neurons, new inputs for its neurons, and output weights by least squares."""
        blocks, samples = self._blocks, self.samples
        residual = samples.residual(blocks)
        losses = residual.double().square().mean(1)
        unfit = losses > max(EXACT, UNFIT * float(losses.max()))
        new = directions(second_moments(samples.features, residual[unfit]))
        self._note("proposed", len(new))
        wider = candidates(with_inputs(samples, blocks, losses.clamp(min=EXACT), self.limits.inputs), new)
        return largest(Amplitudes(3.5, EXACT)(samples, residual, wider), 2 * self.limits.weights)

    def _merged(self, fitted: VectorFitted) -> VectorFitted:
        """Merge neurons that may be one, unless the loss rises."""
        for cosine in (0.95, 0.99, 0.999, 0.99999):
            fewer = merged(fitted.blocks, cosine)
            if fewer.count == fitted.blocks.count:
                break
            tried = JointNewton(4, floor=EXACT)(self.samples, fewer)
            weight = weights_of(fitted.losses, EXACT)
            if float(weight @ tried.losses) < 1.1 * float(weight @ fitted.losses.clamp(min=EXACT)):
                self._note("merged", fitted.blocks.count - fewer.count)
                return tried
        return fitted

    def _finish(self, fitted: VectorFitted, least: float) -> None:
        """Offer the network without a linear part and within the limits; stop at the first exact one.

        Tolerances range from ``least`` to some hundred times the misfit.
        """
        turned, before = signed(fitted.blocks), -1
        error = math.sqrt(max(fitted.loss, EXACT))
        for tolerance in TOLERANCES:
            if not least < tolerance < 300.0 * error or self.is_exact:
                continue
            clear = unpaired(turned, tolerance)
            if clear.nnz and clear.nnz != before:
                before = clear.nnz
                self._offer(self._settle(self._within(clear), self.limits.s))

    def _within(self, blocks: Neurons) -> Neurons:
        """Remove the smallest neurons and the least needed weights above the limits."""
        for _ in range(TRIMS):
            blocks = blocks.taken(blocks.sizes().argsort(descending=True)[: self.limits.m].sort().values)
            if blocks.nnz <= self.limits.s:
                break
            blocks = JointElimination(0.0, self.limits.s)(JointNewton(4, floor=EXACT)(self.samples, blocks))
        return blocks

    def _offer(self, fitted: VectorFitted) -> None:
        """Keep the network if it is within the limits and better; of two exact ones, that of fewer weights."""
        blocks, loss = fitted.blocks, float(self.units @ fitted.losses)
        if blocks.nnz > self.limits.s or blocks.count > self.limits.m:
            return
        exact = FINAL * float(self.units.sum())
        fewer = max(loss, self.best[1]) <= exact and blocks.nnz < self.best[0].nnz
        self._exact |= loss <= exact and self._round > 0
        if loss < self.best[1] or fewer:
            self.best = (blocks, loss)
            self._note("accepted", blocks.count)

    def _note(self, name: str, count: int) -> None:
        self.moves.append((self._round, name, count))
