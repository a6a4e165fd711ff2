"""How fast IHT converges: the law of its last steps, and a bound over all supports.

With a step ``eta`` and a support that no longer changes, ``f - f_S`` (the loss over its least value on the support)
falls per step by ``(1 - eta lambda)^2`` in the end, where ``lambda`` is the least eigenvalue of the Gram matrix of the
support's columns. (Derived for this program; P1 states the number of steps up to a constant.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.theory.bounds import rounding

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]

_KEPT = 6
"""Stretches that are kept."""
LAST = 10
"""Steps whose mean is measured."""
_VISIBLE = 1e-3, 1e-24
"""Least excess loss that is more than rounding errors: a share of the least loss, and a share of the first loss."""


def law(step: float, least: float) -> float:
    """Return the factor ``(1 - step least)^2`` of the loss per step, for a least eigenvalue."""
    return (1.0 - step * least) ** 2


@dataclass
class Stretch:
    """Steps in a row with one support.

    Attributes
    ----------
    index
        The support, int64 ascending.
    losses
        Loss before each of the steps.
    """

    index: Tensor
    losses: list[float] = field(default_factory=list)

    def excess(self, floor: float, first: float) -> Array:
        """Return the losses over the least loss ``floor`` on the support, while they show.

        Parameters
        ----------
        first
            Loss before the first step of the run.
        """
        over = np.array(self.losses) - floor
        share, least = _VISIBLE
        seen = over > max(share * floor, least * first)
        return over if seen.all() else over[: int(np.argmin(seen))]


def tail_factor(excess: Array) -> float:
    """Return the factor per step of the excess loss over its last :data:`LAST` steps: their geometric mean."""
    return float((excess[-1] / excess[-1 - LAST]) ** (1.0 / LAST))


class Stretches:
    """The longest stretches of a run."""

    def __init__(self) -> None:
        self._longest: list[Stretch] = []
        self._now: Stretch | None = None
        self.first = math.nan

    def add(self, index: Tensor, loss: float) -> None:
        """Note a step from weights with the support ``index`` and this loss."""
        if self._now is None:
            self.first = loss
        if self._now is None or not torch.equal(self._now.index, index):
            self._now = Stretch(index)
            self._longest = [*self.longest[: _KEPT - 1], self._now]
        self._now.losses.append(loss)

    def is_still(self, share: float) -> bool:
        """Whether the last step with its support changed the loss by at most this share of it."""
        losses = [] if self._now is None else self._now.losses[-2:]
        return len(losses) == 2 and abs(losses[0] - losses[1]) <= share * losses[1]

    @property
    def longest(self) -> list[Stretch]:
        """Stretches, the longest first."""
        return sorted(self._longest, key=lambda one: -len(one.losses))


def least_squares(gram: Array, targets: Array) -> Array:
    """Return the least-squares solution of the normal equations ``gram v = targets``, of least norm if several."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > rounding(len(values), float(values[-1]))
    return np.asarray(vectors[:, kept] @ ((vectors[:, kept].T @ targets) / values[kept]))
