"""Step sizes and the refinement on a fixed support."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.operators import SupportOperator

if TYPE_CHECKING:
    from torch import Tensor

# Constants of the reference code of P1 (protocol, section 1).
FIRST_STEP = 1e-14  # with an empty support the first step only ranks coordinates
CURVATURE_FLOOR = 1e-8  # keeps the exact step finite when A g = 0


LADDER = 60  # doublings or halvings of a searched step, at most


def squared_norm(x: Tensor) -> Tensor:
    """``|x|^2`` accumulated in float64, shape ``[]``."""
    norm: Tensor = torch.linalg.vector_norm(x, dtype=torch.float64)
    return norm.square()


def exact_step(operator: SupportOperator, values: Tensor, gradient: Tensor) -> Tensor:
    """Exact line search on the support, ``|g|^2 / (|A_S g|^2 + 1e-8)`` (P1, accelerated IHT), float64 ``[]``.

    Returns ``FIRST_STEP`` when the support is empty: when its ``values`` (``[|S|]``) are zeros, if there are any.
    """
    step = squared_norm(gradient) / (squared_norm(operator.matvec(gradient)) + CURVATURE_FLOOR)
    return torch.where((values != 0).any(), step, FIRST_STEP)


def searched_step(loss_at: Callable[[float], float], start: float, loss: float) -> float:
    """Search a step that does not increase the loss, by halving and doubling ``start``.

    Parameters
    ----------
    loss_at
        Loss after a step of the given size along the direction; nan and inf count as worse than anything.
    start
        Where the search begins, the previous step for instance.
    loss
        Loss without a step.

    Returns
    -------
    float
        A step whose loss is at most ``loss`` and at most that of its half and its double; 0 if none is found.
    """
    step, best = start, loss_at(start)
    for _ in range(LADDER):
        if best <= loss:
            break
        step, best = step / 2.0, loss_at(step / 2.0)
    else:
        return 0.0
    for factor in (2.0, 0.5):
        for _ in range(LADDER):
            there = loss_at(step * factor)
            if not there < best:
                break
            step, best = step * factor, there
    return step


@dataclass(frozen=True)
class Refinement:
    """Gradient steps on a fixed support with Armijo backtracking (P1, accelerated IHT, step 3).

    On a fixed support f(w) = |A_S w - y|^2 is quadratic, so the decrease of a trial step is known exactly,
    ``f(w) - f(w - mu g) = 2 mu |g|^2 - mu^2 |A_S g|^2`` with ``g = A_S^T r``. One pass over the data gives both
    ``A_S^T A_S g`` and ``|A_S g|^2``: the latter decides any number of halvings, the former updates the gradient. No
    decision is taken on the host, so that a GPU need not wait.

    Attributes
    ----------
    steps
        Gradient steps at most; 10 for networks, 3 for Gaussian sensing.
    decrease
        Fraction of ``mu |g|^2`` that a step must gain.
    halvings
        Failed halvings after which the thresholded point is returned unrefined.
    """

    steps: int = 10
    decrease: float = 0.9
    halvings: int = 10

    def __call__(self, operator: SupportOperator, values: Tensor, residual: Tensor, step: Tensor) -> Tensor:
        """Refine ``values`` (``[|S|]``), whose residual ``A_S values - y`` is ``residual`` (``[n]``).

        The step is shared by the inner steps and only shrinks.
        """
        refined, gradient = values.double(), operator.rmatvec(residual).double()
        failed = torch.zeros((), dtype=torch.bool, device=values.device)
        fractions = torch.exp2(-torch.arange(self.halvings + 1.0, dtype=torch.float64, device=values.device))
        for _ in range(self.steps):
            change, curvature = operator.normal(gradient)
            # Refused steps come first: what is refused stays refused when it is doubled.
            refused = step * fractions * curvature > (2.0 - self.decrease) * squared_norm(gradient)
            failed = failed | refused[-1]
            step = step * torch.exp2(-refused.sum().double())
            refined = refined - step * gradient
            gradient = gradient - step * change
        return torch.where(failed, values, refined.to(values.dtype))
