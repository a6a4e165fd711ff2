"""Proximal gradient descent: a soft threshold after every step, then training on the support without a penalty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.pruning.gmp import cubic
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.baselines.pruning.relaxed import flat
from mlpiht_cli.core.fit import Events, Fact
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.threshold import soft_threshold
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def unit_of(problem: Problem) -> float:
    """Return what the step size is divided by: the root mean square of the targets, or 1 for classes.

    With two layers and targets c times as large, the same path with weights ``sqrt(c)`` times as large takes steps of
    ``1 / c``.
    """
    size = float(problem.y.square().mean()) if problem.loss == "squared" else 1.0
    return math.sqrt(size) if size > 0 else 1.0


class Proximal:
    """Proximal steps on the weights; see :class:`~mlpiht_cli.baselines.pruning.relaxed.Relaxed`.

    Attributes
    ----------
    values
        Weights ``[N]``.
    moved
        Weights ``[N]`` of the last step before the prox.
    taken
        Number of steps so far.
    penalty
        Penalty of the last step; 0 with ``threshold: budget``.

    The direction is a running mean of the gradients, so that where nothing moves the conditions of the penalised loss
    hold (ProxSGD: Yang et al., ICLR 2020); its decay is the setting ``momentum``.
    """

    def __init__(self, method: Prox, network: SparseNetwork, budget: int, steps: int, unit: float) -> None:
        self.values = self.moved = flat(network.weights)
        self.taken, self.penalty = 0, 0.0
        self._mean, self._method, self._budget, self._steps = torch.zeros_like(self.values), method, budget, steps
        self._last, self._count, self._unit = network.weights[-2].shape, network.total, unit
        self._first = 0.0  # largest slope of a counted weight in the first step

    def weights(self) -> Tensor:
        """Return the weights."""
        return self.values

    def step(self, slope: Tensor, loss: Tensor | float, rate: float) -> bool:
        """Step along the mean of the gradients so far, and take the prox.

        The steps go on until at most s weights are left, or with ``threshold: budget`` to the end.
        """
        method, is_penalty = self._method, self._method.threshold == "penalty"
        length = method.pace * (method.lr if is_penalty else rate) / self._unit
        self._mean = method.momentum * self._mean + (1.0 - method.momentum) * slope
        self.moved = self.values - length * self._mean
        self._first = self._first or float(slope[: self._count].abs().amax())
        new = self._penalised(length) if is_penalty else self._largest()
        self.values, self.taken = new, self.taken + 1
        return not is_penalty or int(torch.count_nonzero(new[: self._count])) > self._budget

    def _penalised(self, length: float) -> Tensor:
        """Return the prox of ``length`` times the penalty's sum of magnitudes, as the budget counts weights.

        The magnitude of a fused weight is that of a product, so that the price of either factor is the other one.
        """
        method, count = self._method, self._count
        share = self.taken / max(1, self._steps - 1)
        self.penalty = self._first * method.least * (method.most / method.least) ** share
        price = [self._scales(self.values)]
        if count < len(self.values):
            rows, cols = self._last
            price.append(self.values[count - rows * cols : count].view(rows, cols).abs().sum(dim=1))
        return soft_threshold(self.moved, length * self.penalty * torch.cat(price))

    def _largest(self) -> Tensor:
        """Return the weights whose counted magnitudes are less by the first one that is too small to be kept."""
        moved, count, descent = self.moved, self._count, self._method.descent
        share = min(1.0, (self.taken + 1) / (descent * self._steps)) if descent else 1.0
        left, scales = cubic(share, count, min(self._budget, count)), self._scales(moved)
        magnitudes = moved[:count].abs() * scales
        threshold = torch.topk(magnitudes, left + 1).values[-1] if left < count else magnitudes.new_zeros(())
        kept = soft_threshold(moved[:count], threshold / scales.clamp(min=torch.finfo(scales.dtype).tiny))
        return torch.cat([torch.where(magnitudes > threshold, kept, 0.0), moved[count:]])

    def _scales(self, values: Tensor) -> Tensor:
        """Return what the magnitude of each counted weight is multiplied by: fused weights by the output weight's."""
        count, (rows, cols) = self._count, self._last
        scales = torch.ones_like(values[:count])
        if count < len(values):
            scales[count - rows * cols :] = values[count:].abs().repeat_interleave(cols)
        return scales


class Prox(SparseTraining, Method):
    """Proximal gradient descent with soft thresholds on minibatches (ISTA), then debiasing.

    With ``threshold: budget`` the threshold of every step is the first magnitude that is too small to be kept: the soft
    sibling of IHT. How many are kept falls along the cubic of ``gmp``. With ``threshold: penalty`` the threshold comes
    from a penalty on the sum of magnitudes, which rises geometrically until at most s weights are left; its step size
    is constant, since one that falls to 0 would threshold nothing. If they are fewer, the largest of the others fill
    up, with their values before the threshold. Then Adam trains the support without a penalty. With ``count: fused``
    all magnitudes are those of fused weights. The fact ``left`` is the number of weights after the proximal steps,
    ``penalty`` the last penalty.
    """

    name: ClassVar[str] = "prox"
    version: ClassVar[int] = 1

    threshold: Literal["penalty", "budget"] = Field(
        "budget", description="threshold of a step: from a penalty that rises, or from the number of weights to keep"
    )
    pace: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="step size of proximal steps over lr; for the squared loss it is also divided by the root mean "
        "square of the targets",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="decay per proximal step of the running mean of the gradients")
    descent: float = Field(
        1.0,
        ge=0,
        le=1,
        description="threshold: budget: share of the proximal steps in which the number of weights falls from all to "
        "s; 0: s weights from the first step on",
    )
    least: float = Field(
        1e-3,
        gt=0,
        allow_inf_nan=False,
        description="threshold: penalty: first penalty, over the largest slope of a weight in the first step",
    )
    most: float = Field(1.0, gt=0, allow_inf_nan=False, description="threshold: penalty: last penalty, likewise")
    fine_tuning: float = Field(
        0.5, ge=0, lt=1, description="share of the epochs that debias, and more if the penalty ends its steps early"
    )

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Take proximal steps, prune and fine-tune for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        before = network.steps - round(self.fine_tuning * network.steps)
        proximal = Proximal(self, network, budgets[0], before, unit_of(problem))
        network.begin(before)
        yield from network.relax(proximal, before)
        left = network.adopt(proximal.values, proximal.moved, budgets[0])
        facts: dict[str, Fact] = {"left": left, "penalty": proximal.penalty}
        yield from network.finish(budgets[0], network.steps - proximal.taken, facts)
