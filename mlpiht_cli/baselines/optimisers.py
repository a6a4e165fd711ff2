"""Adam and plain gradient descent on the fused kernels of torch, with no import of torch's compiler.

The classes of ``torch.optim`` call the same kernels, so the weights are theirs bit for bit. But making one of those
classes imports ``torch._dynamo``, which takes a processor second, longer than many fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

    MakeOptimiser = Callable[[list[Tensor], float], "Optimiser"]
    """Makes an optimiser from parameters and a step size."""

BETAS = 0.9, 0.999
"""Decay per step of Adam's mean of the gradients and of its mean of their squares."""
EPS = 1e-8
"""Number that Adam adds to the root of the mean square."""


class Optimiser(Protocol):
    """Moves parameters along their gradients."""

    def step(self) -> None:
        """Take one step from the ``grad`` of every parameter."""


class Past(NamedTuple):
    """Moments of Adam after some steps on parameters of these shapes, and the number of the steps."""

    means: Sequence[Tensor]
    squares: Sequence[Tensor]
    steps: int


class Adam:
    """Adam (Kingma and Ba, 2015), with the defaults of torch for all settings but the step size.

    The moments take twice the memory of the parameters, on their device and in their dtype.

    Attributes
    ----------
    lr
        Step size of the next step; it may be set between steps.
    moments
        Means of the gradients and means of their squares, each a list of the parameters' shapes.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: float, past: Past | None = None) -> None:
        self._parameters, self.lr = list(parameters), lr
        past = past or Past([torch.zeros_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters], 0)
        self.moments = [list(past.means), list(past.squares)]
        self._steps = [torch.full((), past.steps, dtype=torch.float32, device=p.device) for p in self._parameters]

    def step(self) -> None:
        """See :class:`Optimiser`."""
        with torch.no_grad():
            torch._foreach_add_(self._steps, 1)
            torch._fused_adam_(
                self._parameters,
                _gradients(self._parameters),
                self.moments[0],
                self.moments[1],
                [],
                self._steps,
                lr=self.lr,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=0.0,
                eps=EPS,
                amsgrad=False,
                maximize=False,
            )


class SGD:
    """Plain gradient descent without momentum."""

    def __init__(self, parameters: Sequence[Tensor], lr: float) -> None:
        self._parameters, self._lr = list(parameters), lr

    def step(self) -> None:
        """See :class:`Optimiser`."""
        with torch.no_grad():
            torch._fused_sgd_(
                self._parameters,
                _gradients(self._parameters),
                [],
                weight_decay=0.0,
                momentum=0.0,
                lr=self._lr,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients; every parameter must have one."""
    found = [p.grad for p in parameters if p.grad is not None]
    if len(found) < len(parameters):
        raise RuntimeError("a parameter has no gradient")
    return found
