"""The search with several outputs: propose, fit, eliminate, decode, and keep the best network within the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.linalg.moments import looks_normal
from mlpiht_cli.solvers.realloc.search import SAMPLES_PER_INPUT, Limits
from mlpiht_cli.solvers.realloc_vector.decode import merged, signed, unpaired
from mlpiht_cli.solvers.realloc_vector.network import Neurons, VectorSamples
from mlpiht_cli.solvers.realloc_vector.newton import JointNewton, VectorFitted, weights_of
from mlpiht_cli.solvers.realloc_vector.propose import Amplitudes, VectorProposal
from mlpiht_cli.solvers.realloc_vector.prune import JointElimination

if TYPE_CHECKING:
    from torch import Tensor

EXACT = 1e-12
"""Mean squared error below which an output is exact in float32, relative to its mean square."""
FINAL = 1e-13
"""The same in float64, for float32 targets."""
CLOSE = 1e-3
"""Mean squared error, relative, below which a network is decoded; others are decoded when the search ends."""
TOLERANCES = (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Entries of the linear part that are dropped on trial, in standard deviations of the outputs."""
ROUNDING = (1e-4, 1e-5, 1e-6, 1e-7)
"""Weights below these shares of the largest of their layer are dropped on trial, if the loss stays."""


@dataclass
class VectorSearch:
    """Rounds of proposals on a network with a linear part, and the best finished network so far.

    Attributes
    ----------
    samples
        The data; the targets of every output have a root mean square of about one.
    limits
        The limits of the answer; weights count in both layers.
    draws
        Generator of the mixes of outputs.
    scale
        What the targets of each output were divided by, ``[k]``.
    best
        Best network within the limits, and its mean squared error in the units of the problem.
    moves
        Actions with the number of neurons, ``(round, name, count)``; polishing is round 0.
    """

    samples: VectorSamples
    limits: Limits
    draws: np.random.Generator
    scale: Tensor
    best: tuple[Neurons, float]
    moves: list[tuple[int, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loss, self._stalled, self._round = math.inf, 0, 0
        features, k = self.samples.features, len(self.samples.y)
        self._double: VectorSamples | None = None
        none = torch.zeros(0, len(features), dtype=torch.float64, device=features.device)
        self._blocks = Neurons.of(none, none.new_zeros(0, k), none.new_zeros(len(features), k))
        self._newton = JointNewton(3, floor=EXACT)

    @property
    def is_exact(self) -> bool:
        """Whether the best network fits the targets exactly."""
        return self.best[1] < FINAL * float(self.scale.square().mean())

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
        """Fit the weights on the supports of the best network, and offer the result."""
        if self.best[0].nnz:
            self._offer(JointNewton(10, floor=EXACT)(self.samples, self.best[0]))

    def round(self) -> None:
        """Run one round of proposals."""
        self._round += 1
        fitted = self._newton(self.samples, self._grown())
        for z, budget, steps in ((2.5, 2 * self.limits.weights, 2), (3.5, self.limits.weights, 6)):
            less = JointElimination(z, budget)(fitted)
            fitted = JointNewton(steps, floor=EXACT)(self.samples, less)
        fitted = self._merged(fitted)
        self._stalled = 0 if fitted.loss < 0.9 * self._loss else self._stalled + 1
        if fitted.loss < self._loss:
            self._blocks, self._loss = fitted.blocks, fitted.loss
        if fitted.loss < CLOSE:
            self._finish(fitted)

    def tidy(self) -> None:
        """Decode the last network if none was, and drop weights that are rounding errors."""
        if self._round and self._loss >= CLOSE:
            self._finish(self._newton(self.samples, self._blocks))

    def _grown(self) -> Neurons:
        """Return the network with new neurons, new inputs for its neurons, and output weights by least squares."""
        blocks, samples = self._blocks, self.samples
        residual = samples.residual(blocks)
        losses = residual.double().square().mean(1)
        open_ = losses > max(EXACT, 1e-6 * float(losses.max()))
        neurons = VectorProposal()(samples, residual[open_], self.draws)
        self._note("proposed", len(neurons))
        d, k = len(samples.features), len(samples.y)
        single = blocks.support[blocks.support.sum(1) == 1].any(0)
        eye = torch.eye(d, dtype=torch.float64, device=neurons.device)[~single]
        several = neurons[(neurons != 0).sum(1) > 1]
        new = torch.cat([eye, several])
        size = blocks.hidden.norm(dim=1, keepdim=True).clamp(min=1e-300)
        if blocks.count:
            known = (new @ (blocks.hidden / size).T).abs().amax(1)
            new = new[known < 0.99]
        zero = new.new_zeros(len(new), k)
        support = blocks.support | self._new_inputs(blocks, losses)
        wide = Neurons(
            torch.cat([blocks.hidden / size, new]),
            torch.cat([support, new != 0]),
            torch.cat([blocks.output * size, zero]),
            torch.cat([blocks.used, zero != 0]),
            blocks.skip,
        )
        found = Amplitudes(3.5, EXACT)(samples, residual, wide)
        return self._limited(found)

    def _new_inputs(self, blocks: Neurons, losses: Tensor) -> Tensor:
        """Return places outside the support whose gradient stands out, bool ``[b, d]``."""
        if not blocks.count:
            return blocks.support
        weight = weights_of(losses, EXACT)
        slopes = self.samples.sums(blocks, weight).hidden
        noise = (0.25 * self.samples.n * (blocks.output.square() * weight.square() * losses).sum(1)).sqrt()
        z = torch.where(blocks.support, 0.0, slopes.abs() / noise.clamp(min=1e-300)[:, None])
        least = z.flatten().topk(min(self.limits.inputs, z.numel())).values[-1]
        return z >= least.clamp(min=4.0)

    def _limited(self, blocks: Neurons) -> Neurons:
        """Keep the largest neurons, as many as twice the weights of the search allow."""
        cost = (blocks.support.sum(1) + blocks.used.sum(1)).cpu()
        size = (blocks.hidden.norm(dim=1) * blocks.output.norm(dim=1)).cpu()
        order = size.argsort(descending=True)
        keep = torch.zeros(blocks.count, dtype=torch.bool)
        keep[order[cost[order].cumsum(0) <= 2 * self.limits.weights]] = True
        keep = keep.to(blocks.hidden.device)[:, None]
        return blocks.kept(blocks.support & keep, blocks.used & keep)

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

    def _finish(self, fitted: VectorFitted) -> None:
        """Offer the network without a linear part and within the limits; stop at the first exact one."""
        turned, before = signed(fitted.blocks), -1
        error = math.sqrt(max(fitted.loss, EXACT))
        for tolerance in TOLERANCES:
            if not 0.1 * error < tolerance < 1e3 * error or self.is_exact:
                continue
            clear = unpaired(turned, tolerance)
            if clear.nnz and clear.nnz != before:
                before = clear.nnz
                self._offer(self._settled(self._within(clear)))

    def _within(self, blocks: Neurons) -> Neurons:
        """Remove the least needed neurons and weights above the limits."""
        for _ in range(8):
            size = blocks.hidden.norm(dim=1) * blocks.output.norm(dim=1)
            keep = torch.zeros_like(size, dtype=torch.bool)
            keep[size.argsort(descending=True)[: self.limits.m]] = True
            blocks = blocks.kept(blocks.support & keep[:, None], blocks.used & keep[:, None])
            if blocks.nnz <= self.limits.s:
                break
            blocks = JointElimination(0.0, self.limits.s)(JointNewton(4, floor=EXACT)(self.samples, blocks))
        return blocks

    def _settled(self, blocks: Neurons) -> VectorFitted:
        """Fit a finished network; to the last digit, in float64, if it may be the right one."""
        fitted = JointNewton(8, gain=0.1, floor=EXACT)(self.samples, blocks)
        if fitted.loss < 1e-5:
            if self._double is None:
                self._double = self.samples.double()
            fitted = JointNewton(8, gain=0.1, sampled=False)(self._double, fitted.blocks)
            fitted = self._rounded(self._double, fitted)
        return fitted

    def _rounded(self, samples: VectorSamples, fitted: VectorFitted) -> VectorFitted:
        """Drop weights that are rounding errors, as long as the loss stays."""
        at = fitted.blocks.scaled()
        largest = at.output.abs().amax(0)
        for share in ROUNDING:
            fewer = at.kept(at.hidden.abs() > share, at.output.abs() > share * largest)
            if fewer.nnz == at.nnz:
                break
            tried = JointNewton(3, gain=0.1, sampled=False)(samples, fewer)
            if tried.loss <= 1.1 * fitted.loss:
                return tried
        return fitted

    def _offer(self, fitted: VectorFitted) -> None:
        loss = float((fitted.losses * self.scale.square()).mean())
        blocks = fitted.blocks
        if loss < self.best[1] and blocks.nnz <= self.limits.s and blocks.count <= self.limits.m:
            self.best = (blocks, loss)
            self._note("accepted", blocks.count)

    def _note(self, name: str, count: int) -> None:
        self.moves.append((self._round, name, count))
