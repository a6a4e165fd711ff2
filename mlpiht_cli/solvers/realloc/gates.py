"""Gate pursuit: neurons from guessed gates, for inputs of any distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import gram
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.field import CLEAR, Field, cholesky
from mlpiht_cli.solvers.realloc.propose import amplitudes
from mlpiht_cli.solvers.realloc.prune import Stop

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the samples below a start's cut; 0 and an input's most frequent value are cuts as well."""
CUTS = 6
"""Random cuts of an input, in place of the quantiles."""
FEWEST = 20
"""Fewest samples on either side of a gate: with fewer, what it tells is noise."""
SAMPLES = 4000
"""Samples that gates are pursued on."""
SAME = 0.99
"""Correlation above which two gates are the same."""
STILL = 0.9995
"""Correlation of a gate with the one before above which it has arrived."""
RUN = 64
"""Inputs whose cuts are screened at a time."""


@dataclass(frozen=True)
class GatePursuit:
    """Follow gates ``g = sign(u . x)``: fit the residual by ``g x`` on few inputs, take the coefficients as u, repeat.

    A neuron is ``relu(w . x) = (w . x + g w . x) / 2`` with ``g = sign(w . x)``. If a gate agrees with g on most
    samples, the fit of ``g x``, free of a linear part and a constant, is nearly w / 2, and its gate agrees on more.
    Gates start as ``sign(x_a - c)``, and from pairs of inputs.

    Attributes
    ----------
    starts, few
        Gates that are followed: those of the largest screened moment, and how many of these if cuts are random.
    pairs
        Starts from pairs of inputs.
    inputs
        Inputs of a fit, those of the largest moment.
    turns
        Fits of a gate.
    z
        Standard deviations that a coefficient is worth at least.
    signs
        Whether neurons may have the output sign -1.
    """

    starts: int = 150
    few: int = 20
    pairs: int = 30
    inputs: int = 40
    turns: int = 6
    z: float = 3.5
    signs: bool = False

    def __call__(
        self, samples: Samples, residual: Tensor, known: Blocks, draws: np.random.Generator | None = None
    ) -> Blocks:
        """Return new neurons, the largest first.

        Parameters
        ----------
        samples, residual
            The data and the residual ``[n]`` of the network.
        known
            The network; its gates are not proposed again.
        draws
            Generator of random cuts; None for fixed ones, all of which are followed.
        """
        x = samples.features[:, :SAMPLES]
        field = Pursued.of(torch.cat([x, torch.ones_like(x[:1])]), x, residual[:SAMPLES])
        starts = torch.cat([field.pairs(self.pairs), self._screened(field, draws)])
        if draws is not None and len(starts) > self.few:
            starts = starts[torch.from_numpy(draws.choice(len(starts), self.few, replace=False))]
        seen, found = field.gates(known.weights), [known.weights.new_zeros(0, len(x))]
        for gate in starts:
            u = self._followed(field, gate, seen)
            if u is not None:
                found.append(u[None])
                seen = torch.cat([seen, field.gates(u[None])])
        return self._sized(samples, residual, torch.cat(found))

    def _screened(self, field: Pursued, draws: np.random.Generator | None) -> Tensor:
        """Return the cuts as gates, ``[starts, n]``: those of the largest moment of r and ``g x_b``, whatever b is."""
        n = len(field.r)
        best, gates = field.r.new_zeros(0), field.r.new_zeros(0, n, dtype=torch.bool)
        live = (field.size > 0).nonzero().flatten()
        for part in torch.tensor_split(live, tuple(range(RUN, len(live), RUN))):
            x = field.x[part]
            above = x[:, None, :] > cuts(x, draws)[:, :, None]
            count = above.sum(2)
            above = above[(count >= FEWEST) & (count <= n - FEWEST)]
            moment = torch.where(above, field.r, -field.r) @ field.x.T
            best = torch.cat([best, (moment.abs() / field.size.clamp(min=1e-30)).amax(1)])
            gates = torch.cat([gates, above])
            best, order = best.topk(min(self.starts, len(best)))
            gates = gates[order]
        return torch.where(gates, 1.0, -1.0).to(field.x.dtype)

    def _followed(self, field: Pursued, gate: Tensor, seen: Tensor) -> Tensor | None:
        """Return the unit direction that a gate leads to, float64 ``[d]``; None if there is none or it is known."""
        u = None
        for _ in range(self.turns):
            u = self._turned(field, gate)
            if u is None:
                return None
            after = field.gates(u[None])[0]
            if len(seen) and float((seen @ after).abs().max()) > SAME * len(after):
                return None
            still, gate = abs(float(after @ gate)), after
            if still > STILL * len(after):
                break
        return u

    def _turned(self, field: Pursued, gate: Tensor) -> Tensor | None:
        """Return the next direction; on one-sided inputs its gate may be open always without small weights."""
        for z in (self.z, self.z - 2.0):
            u = field.fitted(gate, self.inputs, z)
            if u is None or abs(float(field.gates(u[None]).sum())) <= len(gate) - 2 * FEWEST:
                return u
        return None

    def _sized(self, samples: Samples, residual: Tensor, directions: Tensor) -> Blocks:
        """Return neurons of these directions, sized together by the best fit to the residual."""
        factor = 2.0 * amplitudes(samples, residual, directions, self.signs)
        order = factor.abs().argsort(descending=True)
        order = order[factor[order].abs() > 1e-3 * factor.abs().max()] if len(order) else order
        neurons = directions[order] * factor[order].abs()[:, None]
        outputs = torch.where(factor[order] < 0.0, -1.0, 1.0).double() if self.signs else None
        return Blocks(neurons, neurons != 0, None, outputs)


def cuts(x: Tensor, draws: np.random.Generator | None) -> Tensor:
    """Return cuts of inputs ``[b, n]``, ``[b, cuts]``: 0, and quantiles and the commonest value, or random values."""
    ordered, zero = x.sort(1).values, torch.zeros_like(x[:, :1])
    n = x.shape[1]
    if draws is not None:
        places = torch.from_numpy(draws.integers(0, n, (len(x), CUTS))).to(x.device)
        return torch.cat([zero, ordered.gather(1, places)], 1)
    quantiles = ordered[:, [int(q * (n - 1)) for q in QUANTILES]]
    return torch.cat([zero, quantiles, ordered.mode(1).values[:, None]], 1)


@dataclass(frozen=True)
class Pursued(Field):
    """Inputs, and what is left of a residual without a linear part and a constant."""

    @cached_property
    def size(self) -> Tensor:
        """Norms of the inputs, ``[d]``."""
        return self.x.double().square().sum(1).sqrt().to(self.x.dtype)

    @cached_property
    def products(self) -> Tensor:
        """Gram matrix of the inputs, and of all inputs times one gate, float64 ``[d, d]``."""
        return gram(self.x).double()

    def pairs(self, most: int) -> Tensor:
        """Return gates ``sign(x_a / sd_a +- x_b / sd_b)`` of the pairs with the largest product moments with r."""
        unit = self.x / self.x.std(1, keepdim=True).clamp(min=1e-30)
        centred = unit - unit.mean(1, keepdim=True)
        moment = ((centred * self.r) @ centred.T).triu(1).flatten()
        flat = moment.abs().topk(min(most, len(moment))).indices
        flat = flat[moment[flat] != 0]
        a, b = flat // len(unit), flat % len(unit)
        return torch.where(unit[a] + moment[flat].sign()[:, None] * unit[b] > 0, 1.0, -1.0).to(self.x.dtype)

    def fitted(self, gate: Tensor, inputs: int, z: float) -> Tensor | None:
        """Return the significant coefficients of ``g x`` in the fit of r, a unit vector float64 ``[d]``, or None."""
        moment = self.x @ (gate * self.r)
        chosen = (moment.abs() / self.size.clamp(min=1e-30)).topk(min(inputs, len(moment))).indices
        half = self.beyond(self.x[chosen] * gate)
        before = self.products[chosen[:, None], chosen]
        rest = before - half.T @ half
        clear = rest.diagonal() > CLEAR * before.diagonal()
        if not clear.any():
            return None
        rest, chosen = rest[clear][:, clear], chosen[clear]
        start = torch.cholesky_solve(moment[chosen].double()[:, None], cholesky(rest))[:, 0]
        left = float(self.r.double().square().sum() - moment[chosen].double() @ start)
        spread = max(left, 0.0) / max(len(self.r) - len(self.base) - len(start), 1)
        entries, alive = Stop(z * z * spread, len(start), len(start)).eliminated(rest, start)
        if not alive.any():
            return None
        u = torch.zeros(len(self.x), dtype=torch.float64, device=rest.device)
        u[chosen] = entries
        unit: Tensor = u / u.norm()
        return unit
