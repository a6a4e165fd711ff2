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


LADDER = 60  # largest number of doublings or halvings of a searched step


def squared_norm(x: Tensor) -> Tensor:
    """Return ``|x|^2`` accumulated in float64, shape ``[]``."""
    norm: Tensor = torch.linalg.vector_norm(x, dtype=torch.float64)
    return norm.square()


def rounding(targets: Tensor, s: int, dtype: torch.dtype) -> float:
    """Return ``|A w - y|^2`` of the right weights for targets y: a prediction is a sum of s products, each rounded."""
    unit = torch.finfo(dtype).eps / 2.0
    return float(s * unit**2 * squared_norm(targets))


def exact_step(operator: SupportOperator, values: Tensor, gradient: Tensor) -> Tensor:
    """Return the step of exact line search on the support, ``|g|^2 / (|A_S g|^2 + 1e-8)``, float64 ``[]``.

    Source: P1, accelerated IHT. Returns ``FIRST_STEP`` if the support is empty, that is, if ``values`` (``[|S|]``)
    has no nonzero.
    """
    step = squared_norm(gradient) / (squared_norm(operator.matvec(gradient)) + CURVATURE_FLOOR)
    return torch.where((values != 0).any(), step, FIRST_STEP)


def searched_step(loss_at: Callable[[float], float], start: float, loss: float) -> float:
    """Search for a step that does not increase the loss, by halving and doubling ``start``.

    Parameters
    ----------
    loss_at
        Returns the loss after a step of the given size along the direction; nan and inf count as worst.
    start
        First step that is tried, for example the previous step.
    loss
        Loss without a step.

    Returns
    -------
    float
        A step whose loss is at most ``loss`` and at most the loss of its half and its double; 0 if none is found.
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

    On a fixed support f(w) = |A_S w - y|^2 is quadratic, so the decrease of a trial step is known exactly:
    ``f(w) - f(w - mu g) = 2 mu |g|^2 - mu^2 |A_S g|^2`` with ``g = A_S^T r``. A product
    gives both ``A_S^T A_S g``, which updates the gradient, and ``|A_S g|^2``, which decides any number of halvings. The
    host takes no decision, so a GPU does not wait.

    Attributes
    ----------
    steps
        Largest number of gradient steps; 10 for networks, 3 for Gaussian sensing.
    decrease
        Fraction of ``mu |g|^2`` by which a step must lower f.
    halvings
        Number of failed halvings after which the thresholded point is returned without refinement.
    """

    steps: int = 10
    decrease: float = 0.9
    halvings: int = 10

    def __call__(self, operator: SupportOperator, values: Tensor, y: Tensor, step: Tensor) -> Tensor:
        """Refine ``values`` (``[|S|]``) for the targets ``y`` (``[n]``).

        All inner steps share the step size, which only shrinks.
        """
        model = operator.quadratic(values, y, self.steps)
        if model.gram is not None:
            return self._compiled(model.gram, model.gradient, values, step)
        refined, gradient = values.double(), model.gradient.double()
        fractions = torch.exp2(-torch.arange(self.halvings + 1.0, dtype=torch.float64, device=values.device))
        half, counts = torch.full_like(step, 0.5), [torch.zeros_like(step, dtype=torch.int64)]
        for _ in range(self.steps):
            change, curvature = model.normal(gradient)
            # Refused steps come first: the double of a refused step is refused too.
            refused = (step * curvature) * fractions > (2.0 - self.decrease) * (gradient @ gradient)
            counts.append(refused.sum())
            step = step * half.pow(counts[-1])
            refined = refined - step * gradient
            gradient = gradient - step * change
        failed = torch.stack(counts).amax() > self.halvings
        return torch.where(failed, values, refined.to(values.dtype))

    def _compiled(self, gram: Tensor, gradient: Tensor, values: Tensor, step: Tensor) -> Tensor:
        """Refine ``values`` in a kernel: dozens of small products take less time than a call of torch."""
        from mlpiht_cli.linalg.inner_steps import inner_steps  # loads numba

        refined, limits = values.to(torch.float64, copy=True), (self.steps, self.decrease, self.halvings)
        halvings = inner_steps(gram.numpy(), gradient.double().numpy(), refined.numpy(), float(step), limits)
        return values if halvings > self.halvings else refined.to(values.dtype)
