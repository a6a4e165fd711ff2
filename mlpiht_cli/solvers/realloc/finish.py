"""Finished networks: decoded from a network with a skip connection, within the limits, and fitted to the last digit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.decode import merged, paired, signed, unpaired
from mlpiht_cli.solvers.realloc.limits import Limits, largest
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton
from mlpiht_cli.solvers.realloc.prune import RIDGE, Elimination

if TYPE_CHECKING:
    from torch import Tensor

SPECKS = (1e-6, 1e-3)
"""Weights below these shares of a neuron's largest are dropped on trial: such a weight can hide a one-sparse neuron."""
CERTAIN = 3.5
"""Standard errors above which a weight of a finished network counts as certain."""
GROWS = 4.0
"""Standard errors above which the gradient of a missing weight stands out."""
CLOSE = 1e-5
"""Mean squared error, relative to the targets' mean square, below which a network is fitted to the last digit."""
TINY = (1e-4, 1e-5, 1e-6)
"""Weights of an exact network below these shares of the largest are dropped on trial."""
PARALLEL = 0.9999
"""Cosine above which two neurons of the answer are tried as one."""
NEAR = 1e-9
"""Mean squared error, relative to the targets' mean square, below which the support of a network is corrected."""
ROUNDED = 1e-15
"""Mean squared error, relative, that the rounding of float32 targets leaves."""


def skip_errors(fitted: Fitted, keep: Tensor) -> Tensor:
    """Return standard errors of the skip connection, ``[d]``, in a fit with the part ``keep`` of the support.

    The misfit counts as noise: the covariance of all entries is ``loss (A^T A)^-1``. In coordinates where the gates
    are even (``relu(z) = z / 2 + |z| / 2``) the skip connection and the weights hardly correlate, so that turning a
    neuron hardly changes these errors: they are those of the rest ``c + W^T f`` for every f in {0, 1}.
    """
    d = keep.shape[1]
    hessian = fitted.quadratic.hessian
    live = torch.cat([keep[fitted.blocks.support], torch.ones(d, dtype=torch.bool, device=keep.device)])
    hessian = hessian[live][:, live]
    scale = hessian.diagonal().clamp(min=1e-30).sqrt()
    correlation = hessian / torch.outer(scale, scale)
    correlation.diagonal().add_(RIDGE)
    # The last rows of the factor are that of the skip connection alone, with all weights adjusting.
    factor = torch.linalg.cholesky_ex(correlation)[0][-d:, -d:]
    inverse = torch.cholesky_inverse(factor).diagonal()
    return math.sqrt(fitted.loss) * inverse.clamp(min=0.0).sqrt() / scale[-d:]


def without_specks(blocks: Blocks) -> Iterator[Tensor]:
    """Yield parts of the support without specks, bool ``[b, d]``, each part once."""
    size, before = blocks.weights.abs(), None
    most = float(size.max()) if len(size) else 0.0  # a linear part alone can be pairs of neurons
    for share in SPECKS:
        keep = (size > share * size.amax(1, keepdim=True)) & (size > SPECKS[0] * most)
        if before is not None and torch.equal(keep, before):
            return
        before = keep
        yield keep


@dataclass(frozen=True)
class Finish:
    """Turn a network with a skip connection into finished ones.

    Attributes
    ----------
    samples
        The data.
    limits
        Limits of the answer.
    floor
        Loss below which a network counts as exact.
    """

    samples: Samples
    limits: Limits
    floor: float

    def __call__(self, fitted: Fitted) -> Iterator[Fitted]:
        """Yield finished networks of a network with a skip connection, in the order in which they should be tried."""
        blocks = fitted.blocks
        for keep in without_specks(blocks):
            kept, errors = blocks.kept(keep), skip_errors(fitted, keep)
            room = min(self.limits.m - len(kept.weights), self.limits.s - kept.nnz)
            clear = unpaired(signed(kept, errors), room, errors)
            if clear.nnz:
                yield self.settled(self.within(clear))

    def within(self, blocks: Blocks) -> Blocks:
        """Return the network within the limits: the weights that cost least go first, then the smallest neurons."""
        if blocks.nnz > self.limits.s:
            blocks = Elimination(0.0, self.limits.s)(GaussNewton(2, floor=self.floor)(self.samples, blocks))
        return largest(blocks, self.limits)

    def settled(self, blocks: Blocks) -> Fitted:
        """Fit a finished network; fit it to the last digit if it is the right one."""
        fitted = GaussNewton(8, gain=0.1, floor=NEAR * self._power)(self.samples, blocks)
        if fitted.loss < CLOSE * self._power:
            fitted = self.precise(fitted.blocks)
        return fitted

    def precise(self, blocks: Blocks) -> Fitted:
        """Fit a network that may be the right one, with residuals in float64."""
        return GaussNewton(10, gain=0.1, floor=ROUNDED * self._power, sampled=False)(self.samples.double, blocks)

    @cached_property
    def _power(self) -> float:
        return float(self.samples.y.double().square().mean())

    def corrected(self, fitted: Fitted, doubtful: bool) -> Fitted:
        """Correct the support of a network that is nearly right, or ``doubtful``."""
        return self.grown(fitted) if doubtful or fitted.loss < NEAR * self._power else fitted

    def certain(self, blocks: Blocks, loss: float) -> Fitted:
        """Return the network of this loss, fitted once more, without uncertain neurons and weights."""
        fitted = self._again(blocks, loss)
        fewer = merged(fitted.blocks, PARALLEL)
        if len(fewer.weights) < len(fitted.blocks.weights):
            fitted = self._cheaper(self._again(fewer, loss), fitted)
        return self.pruned(fitted)

    def _cheaper(self, tried: Fitted, fitted: Fitted) -> Fitted:
        """Return the smaller network ``tried`` unless its loss is higher by more than noise."""
        rise = CERTAIN**2 * (fitted.blocks.nnz - tried.blocks.nnz) / self.samples.n
        most = max(fitted.loss * (1.0 + rise), 2.0 * ROUNDED * self._power)
        return tried if tried.loss <= most else fitted

    def grown(self, fitted: Fitted) -> Fitted:
        """Add weights whose gradient stands out, remove uncertain ones, as long as the loss falls by more than noise.

        One-sparse neurons are among what can be added. The answer is within the limits.
        """
        while fitted.loss > 2.0 * ROUNDED * self._power:
            more = self._with_more(fitted)
            if more is None:
                break
            tried = self._again(more, fitted.loss)
            tried = self.settled(self.within(Elimination(CERTAIN, self.limits.s)(tried)))
            if not tried.loss < fitted.loss * (1.0 - CERTAIN**2 / self.samples.n):
                break
            fitted = tried
        return fitted

    def pruned(self, fitted: Fitted) -> Fitted:
        """Remove uncertain weights where the loss rises by no more than noise."""
        fewer = Elimination(CERTAIN, self.limits.s)(fitted)
        if fewer.nnz == fitted.blocks.nnz or not fewer.nnz:
            return fitted
        return self._cheaper(self._again(fewer, fitted.loss), fitted)

    def sparsest(self, fitted: Fitted) -> Fitted:
        """Return an exact network with fewer weights, if there is one: merged, turned, or without tiny weights."""
        for fewer in self._fewer(fitted.blocks):
            if (fewer.nnz, len(fewer.weights)) < (fitted.blocks.nnz, len(fitted.blocks.weights)):
                tried = self._cheaper(self.pruned(self.precise(fewer)), fitted)
                if tried is not fitted:
                    return self.sparsest(tried)
        return fitted

    def _fewer(self, blocks: Blocks) -> Iterator[Blocks]:
        """Yield networks of nearly the same function that may have fewer weights."""
        yield merged(blocks, PARALLEL)
        if blocks.outputs is None:
            yield unpaired(signed(paired(blocks), torch.full_like(blocks.weights[0], SPECKS[0])))
        size = blocks.weights.abs()
        for share in TINY:
            yield blocks.kept(size > share * size.max())

    def _again(self, blocks: Blocks, loss: float) -> Fitted:
        """Fit a network that is about as good as one of this loss."""
        if loss < CLOSE * self._power:
            return self.precise(blocks)
        return GaussNewton(4, gain=1e-3, floor=self.floor)(self.samples, blocks)

    def _with_more(self, fitted: Fitted) -> Blocks | None:
        """Return the network with the weights whose gradient stands out, if there are."""
        samples = self.samples.double if fitted.loss < CLOSE * self._power else self.samples
        residual = samples.residual(fitted.blocks)
        noise = float(residual.double().std()) * math.sqrt(samples.n / 2.0)
        with_all, possible = with_all_one_sparse(fitted.blocks, samples, residual)
        slopes = samples.slopes(with_all, residual)
        z = torch.where(with_all.support | ~possible, 0.0, slopes.abs() / max(noise, 1e-300))
        least = z.flatten().topk(min(self.limits.inputs, z.numel())).values[-1]
        new = (z >= least.clamp(min=GROWS)) & (z > 0.0)
        if not bool(new.any()):
            return None
        return replace(with_all, support=with_all.support | new).kept(with_all.support | new)


def with_all_one_sparse(blocks: Blocks, samples: Samples, residual: Tensor) -> tuple[Blocks, Tensor]:
    """Return the network with tiny one-sparse neurons of both directions on every input, outside the support.

    Also return which entries may join the support, bool ``[b + 2 d, d]``: a one-sparse neuron on its own input alone,
    if no other has its direction and the residual asks for its output sign.
    """
    b, d = blocks.weights.shape
    eye = torch.eye(d, dtype=blocks.weights.dtype, device=blocks.weights.device)
    sides = torch.cat([eye, -eye])
    small = 1e-6 * (float(blocks.weights.abs().max()) if b else 1.0)
    single = blocks.weights[blocks.support.sum(1) == 1]
    taken = torch.cat([(single > 0).any(0), (single < 0).any(0)])
    wanted = (samples.slopes(Blocks(sides, sides != 0), residual) * sides).sum(1)
    outputs = None if blocks.outputs is None else torch.where(wanted < 0, -1.0, 1.0).to(sides)
    may = ~taken if outputs is not None else ~taken & (wanted > 0)
    added = Blocks(small * sides, torch.zeros_like(sides, dtype=torch.bool), None, outputs)
    everywhere = torch.ones(b, d, dtype=torch.bool, device=sides.device)
    return blocks.joined(added), torch.cat([everywhere, (sides != 0) & may[:, None]])
