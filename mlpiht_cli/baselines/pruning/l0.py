"""L0 regularisation: random gates that train with the weights, under a constraint on how many are open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from pydantic import Field

from mlpiht_cli.baselines.optimisers import Adam
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.baselines.pruning.relaxed import flat
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TEMPERATURE, LOW, HIGH = 2.0 / 3.0, -0.1, 1.1
"""The paper's beta, gamma and zeta: how sharp the gates are, and the interval that they are stretched to."""
EDGE = 1e-6
"""Least distance of uniform numbers from 0 and 1, which float32 keeps."""


class Gates(NamedTuple):
    """Gates ``[N]`` in [0, 1], and their derivatives with respect to ``log alpha``."""

    values: Tensor
    slopes: Tensor


def hard_concrete(log_alpha: Tensor, uniform: Tensor) -> Gates:
    """Return gates for uniform numbers on (0, 1): a stretched and clipped logistic (Louizos et al., eqs. 10 and 11)."""
    sharp = torch.sigmoid((log_alpha + torch.logit(uniform)) / TEMPERATURE)
    stretched = sharp * (HIGH - LOW) + LOW
    inside = (stretched > 0.0) & (stretched < 1.0)
    return Gates(stretched.clamp(0.0, 1.0), sharp * (1.0 - sharp) * ((HIGH - LOW) / TEMPERATURE) * inside)


def opening(log_alpha: Tensor) -> Tensor:
    """Return the probability that a gate is not 0 (eq. 12); the sum of all is the expected number of open gates."""
    return torch.sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))


def settled_gates(log_alpha: Tensor) -> Tensor:
    """Return the gates of the network after the random phase, some of which are exactly 0 (eq. 13)."""
    return (torch.sigmoid(log_alpha) * (HIGH - LOW) + LOW).clamp(0.0, 1.0)


class Constraint(NamedTuple):
    """Constraint on the expected share of open gates, and how its multiplier ascends.

    Attributes
    ----------
    share
        Largest expected share.
    step
        Rise of the multiplier in a step, for each unit of excess.
    unit
        Loss that the multiplier is measured in.
    """

    share: float
    step: float
    unit: Tensor


class GatedWeights:
    """Weights times random gates; see :class:`~mlpiht_cli.baselines.pruning.relaxed.Relaxed`.

    Attributes
    ----------
    values
        Weights without gates ``[N]``.
    log_alpha
        Parameters ``[gates]`` of the gates of the first weights.
    penalty
        Price of all open gates, in units of the constraint's loss: the multiplier of the constraint.
    """

    def __init__(
        self, method: L0, values: Tensor, gates: int, constraint: Constraint, noise: np.random.Generator
    ) -> None:
        self.values, self.penalty, self._constraint, self._noise = values.clone(), method.penalty, constraint, noise
        self.log_alpha = torch.full_like(values[:gates], math.log(method.keep_rate / (1.0 - method.keep_rate)))
        self._adam = Adam([self.values, self.log_alpha], method.lr)
        self._drawn = hard_concrete(self.log_alpha, torch.full_like(self.log_alpha, 0.5))

    def weights(self) -> Tensor:
        """Draw gates, and return the weights times them."""
        uniform = torch.from_numpy(self._noise.random(len(self.log_alpha))).to(self.log_alpha)
        self._drawn = hard_concrete(self.log_alpha, uniform.clamp(EDGE, 1.0 - EDGE))
        return self.times(self._drawn.values)

    def open(self) -> Tensor:
        """Return the probability ``[gates]`` that each gate is open."""
        return opening(self.log_alpha)

    def times(self, gates: Tensor) -> Tensor:
        """Return the weights ``[N]`` times gates ``[gates]``."""
        return torch.cat([self.values[: len(gates)] * gates, self.values[len(gates) :]])

    def step(self, slope: Tensor, loss: Tensor | float, rate: float) -> bool:
        """Descend in weights and gates, ascend in the multiplier.

        Where the constraint holds the multiplier starts again from 0 (dual restarts: Gallego-Posada et al., 2022).
        """
        self.values.grad, self.log_alpha.grad = self.gradients(slope)
        excess = float(self.open().mean()) - self._constraint.share
        self._adam.lr = rate
        self._adam.step()
        if self._constraint.step:
            self.penalty = self.penalty + self._constraint.step * excess if excess > 0 else 0.0
        return True

    def gradients(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of loss plus penalty for weights and ``log alpha``, from the loss's for the products."""
        count, share = len(self.log_alpha), self.open()
        price = self.penalty * self._constraint.unit / count * share * (1.0 - share)
        of_values = torch.cat([slope[:count] * self._drawn.values, slope[count:]])
        return of_values, slope[:count] * self.values[:count] * self._drawn.slopes + price


class L0(SparseTraining, Method):
    """L0 regularisation (Louizos, Welling and Kingma, Learning sparse neural networks through L0, ICLR 2018).

    Every counted weight has a gate of the hard concrete distribution. Weights and gates minimise the loss with one draw
    of the gates for each step, under the constraint that at most s gates are open in expectation, whose multiplier
    ascends (Gallego-Posada et al., Controlled sparsity via constrained optimization, NeurIPS 2022). Then every gate
    gets the value of eq. 13. If more than s weights are left, those of least magnitude are pruned (the fact ``pruned``,
    out of ``open``); if there are fewer, weights of closed gates fill up, times the probability that the gate is open,
    largest products first. The rest is trained on. The facts ``expected`` and ``multiplier`` are the expected number of
    open gates after the random phase, and the last multiplier.
    """

    name: ClassVar[str] = "l0"
    version: ClassVar[int] = 1

    keep_rate: float = Field(
        0.5, gt=0, lt=1, description="initial gates: 1 less the paper's dropout rate, whose log-odds log alpha is"
    )
    penalty: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="price of open gates in the first step: the loss for all gates open, over the loss of no weights",
    )
    ascent: float = Field(
        2.0,
        ge=0,
        allow_inf_nan=False,
        description="what all steps with random gates would add to the penalty if all gates stayed open; 0: no "
        "constraint, the penalty is constant as in the paper of 2018",
    )
    fine_tuning: float = Field(0.5, ge=0, lt=1, description="share of the epochs that come after the prune")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train with gates, prune and fine-tune for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        after = round(self.fine_tuning * network.steps)
        before, total = network.steps - after, network.total
        unit = LOSSES[problem.loss](torch.zeros_like(problem.y), problem.y)
        constraint = Constraint(min(budgets[0], total) / total, self.ascent / max(1, before), unit)
        gated = GatedWeights(self, flat(network.weights), total, constraint, streams.relaxation())
        network.begin(before)
        yield from network.relax(gated, before)
        opened = network.adopt(gated.times(settled_gates(gated.log_alpha)), gated.times(gated.open()), budgets[0])
        facts = {"open": opened, "expected": float(gated.open().sum()), "multiplier": gated.penalty}
        yield from network.finish(budgets[0], after, facts)
