"""The search: propose, fit, prune, decode, and keep the best network within the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.linalg.moments import looks_normal, tiles
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples, linear_fit
from mlpiht_cli.solvers.realloc.decode import merged, signed, unpaired
from mlpiht_cli.solvers.realloc.exchange import Exchange
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton
from mlpiht_cli.solvers.realloc.propose import MomentProposal, boundary_share, new_inputs
from mlpiht_cli.solvers.realloc.prune import Elimination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

EXACT = 1e-11
"""Loss below which a network counts as exact, relative to the targets' mean square; float32 data allow about 1e-13."""
SAMPLES_PER_INPUT = 4
"""Samples per input below which the search does not run: a free linear part would fit too much."""
NEARLY_ONE = 0.9
"""A neuron whose largest weight is above this share of its norm may hide a one-sparse neuron."""
HALVED = 3
"""Neurons that are halved in a round."""
SPECKS = (1e-6, 1e-3)
"""Weights below these shares of a neuron's largest are dropped on trial: such a weight can hide a one-sparse neuron."""

ROUNDING = (1e-5, 1e-6, 1e-7)
"""Weights below these shares of the largest are dropped on trial as rounding errors of an exact network."""


@dataclass(frozen=True)
class Limits:
    """Limits of the answer: neurons ``m`` and weights ``s``; and the larger limits of networks during the search."""

    m: int
    s: int

    @property
    def blocks(self) -> int:
        """Largest number of neurons during the search."""
        return math.ceil(1.5 * self.m) + 5

    @property
    def weights(self) -> int:
        """Largest number of weights during the search, after pruning."""
        return math.ceil(1.3 * self.s) + 20

    @property
    def inputs(self) -> int:
        """Largest number of weights that a round adds to known neurons."""
        return max(10, math.ceil(0.3 * self.s))


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
        Actions with the number of neurons, ``(round, name, count)``; polishing is round 0.
    """

    samples: Samples
    limits: Limits
    draws: np.random.Generator
    best: tuple[Blocks, float]
    moves: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._floor = EXACT * float(self.samples.y.double().square().mean())
        self._loss, self._stalled, self._round = math.inf, 0, 0
        # Start empty: finding planted neurons is easier than undoing a start that merged them.
        self._blocks = self.best[0].kept(torch.zeros_like(self.best[0].support))
        self._propose = MomentProposal(signs=self._blocks.outputs is not None)

    @property
    def is_exact(self) -> bool:
        """Whether the best network fits the targets exactly."""
        return self.best[1] < self._floor

    @property
    def is_possible(self) -> bool:
        """Whether rounds can help: there are enough samples, and the moments of the inputs separate neurons."""
        features = self.samples.features
        return self.samples.n >= SAMPLES_PER_INPUT * len(features) and looks_normal(features)

    @property
    def stalled(self) -> int:
        """Number of rounds since the loss last fell by a tenth."""
        return self._stalled

    def polish(self) -> None:
        """Fit gates and weights on the support of the best network, and offer the result."""
        if self.best[0].nnz:
            self._offer(GaussNewton(10, floor=self._floor)(self.samples, self.best[0]))

    def exchange(self, patience: int) -> Iterator[float]:
        """Exchange weights of the best network for better ones, as long as that helps; yield the loss."""
        for fitted in Exchange(self.limits.m, self.limits.s, self._floor, patience)(self.samples, self.best[0]):
            self._offer(fitted)
            yield self.best[1]

    def tidy(self) -> None:
        """Drop weights of an exact network that are rounding errors; they occur if the budget is too large."""
        blocks, loss = self.best
        for share in ROUNDING if self.is_exact else ():
            fewer = blocks.kept(blocks.weights.abs() > share * blocks.weights.abs().max())
            after = self.samples.loss(fewer)
            if after <= 1.1 * loss:
                self.best = (fewer, after)
                break

    def round(self) -> None:
        """Run one round of proposals."""
        if not self._round:  # not earlier: with thousands of inputs and no rounds, it would take most of the time
            self._blocks = replace(self._blocks, skip=linear_fit(self.samples))
        self._round += 1
        grown = self._grown()
        # Halved neurons need more steps; the elimination would take their remaining misfit for noise.
        fitted = GaussNewton(10 if self._stalled % 2 else 3, floor=self._floor)(self.samples, grown)
        for z, budget, steps in ((2.5, 2 * self.limits.weights, 2), (3.5, self.limits.weights, 6)):
            fitted = GaussNewton(steps, floor=self._floor)(self.samples, Elimination(z, budget)(fitted))
        fitted = self._merged(fitted)
        self._stalled = 0 if fitted.loss < 0.9 * self._loss else self._stalled + 1
        if fitted.loss < self._loss:
            self._blocks, self._loss = fitted.blocks, fitted.loss
        if fitted.blocks.nnz:
            self._finish(fitted.blocks)

    def _grown(self) -> Blocks:
        """Return the network with new inputs for its neurons, new neurons, and a one-sparse neuron on every input."""
        blocks, samples = self._blocks, self.samples
        known = len(blocks.weights)
        residual = samples.residual(blocks)
        whiten = min(100, 3 * self.limits.m) if not known or self._stalled else 0
        room = max(self.limits.inputs, 2 * self.limits.weights - blocks.nnz)
        neurons = self._propose(samples, residual, whiten, self.draws).first(max(5, self.limits.blocks - known))
        neurons = _largest(neurons, Limits(len(neurons.weights), room))
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
            tried = GaussNewton(4, floor=self._floor)(self.samples, fewer)
            if tried.loss < max(1.1 * fitted.loss, self._floor):
                self._note("merged", len(fitted.blocks.weights) - len(fewer.weights))
                return tried
        return fitted

    def _finish(self, blocks: Blocks) -> None:
        """Offer the network within the limits and without a skip connection; stop at the first exact one."""
        size, before = blocks.weights.abs(), None
        for share in SPECKS:
            keep = (size > share * size.amax(1, keepdim=True)) & (size > SPECKS[0] * size.max())
            if self.is_exact or (before is not None and torch.equal(keep, before)):
                break  # without specks, the same network would be fitted again
            kept, before = blocks.kept(keep), keep
            room = min(self.limits.m - len(kept.weights), self.limits.s - kept.nnz)
            clear = unpaired(signed(kept), room)
            if clear.nnz:
                self._offer(self._settled(_largest(clear, self.limits)))

    def _settled(self, blocks: Blocks) -> Fitted:
        """Fit a finished network; fit it to the last digit if it is the right one."""
        fitted = GaussNewton(8, gain=0.1, floor=self._floor)(self.samples, blocks)
        if fitted.loss < 1e-5 * float(self.samples.y.double().var()):
            fitted = GaussNewton(10, gain=1e-3, sampled=False)(self.samples, fitted.blocks)
        return fitted

    def _offer(self, fitted: Fitted) -> None:
        if fitted.loss < self.best[1]:
            self.best = (fitted.blocks, fitted.loss)
            self._note("accepted", len(fitted.blocks.weights))

    def _note(self, name: str, count: int) -> None:
        self.moves.append((self._round, name, count))


def _largest(blocks: Blocks, limits: Limits) -> Blocks:
    """Keep the ``m`` largest neurons and the ``s`` largest weights among them."""
    keep = blocks.support.clone()
    size = blocks.weights.norm(dim=1)
    keep[size.argsort(descending=True)[limits.m :]] = False
    entries = torch.where(keep, blocks.weights.abs(), -1.0).flatten().argsort(descending=True)
    keep.view(-1)[entries[limits.s :]] = False
    return blocks.kept(keep)


def even_part(samples: Samples, residual: Tensor) -> Tensor:
    """Return the covariance of the residual and ``|x_a|``, times n, ``[d]``: the sign of a one-sparse neuron on x_a."""
    total, centred = torch.zeros_like(samples.features[:, 0]), residual - residual.mean()
    for run in tiles(samples.n):
        total += samples.features[:, run].abs() @ centred[run]
    return total


def with_one_sparse(blocks: Blocks, halve: list[int], even: Tensor) -> Blocks:
    """Add a one-sparse neuron for every input that has none; the neurons ``halve`` give half of their largest weight.

    A neuron of ``halve`` may represent two planted neurons whose gates agree on nearly all samples, so that a small
    second neuron would grow too slowly to be noticed. Output signs, if they are free, are those of ``even``.
    """
    single = blocks.support[blocks.support.sum(1) == 1].any(0)
    weights = blocks.weights.clone()
    start = torch.full_like(weights[0], 1e-6)
    sign = torch.where(even < 0.0, -1.0, 1.0).to(start)
    for j in halve:
        a = int(weights[j].abs().argmax())
        if not single[a]:
            weights[j, a] *= 0.5
            start[a] = weights[j, a]
            if blocks.outputs is not None:
                sign[a] = blocks.outputs[j]
    added = torch.diag(start)[~single]
    outputs = None if blocks.outputs is None else sign[~single]
    return replace(blocks, weights=weights).joined(Blocks(added, added != 0, None, outputs))
