"""Parameters that stand for the weights of a network while it trains: means and gates in place of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Relaxed(Protocol):
    """Parameters of a method, from which the weights of each step are made.

    Weights and gradients are those of all layers one after the other, input side first and row by row, ``[N]``; the
    counted layers come first.
    """

    def weights(self) -> Tensor:
        """Return the weights ``[N]`` of the next step; random ones are drawn here."""

    def step(self, slope: Tensor, loss: Tensor | float, rate: float) -> bool:
        """Move the parameters by one step of size ``rate``, and return whether the steps go on.

        ``slope`` ``[N]`` is the gradient of the batch's ``loss`` with respect to the weights of :meth:`weights`.
        """


def flat(layers: Sequence[Tensor]) -> Tensor:
    """Return the entries of all layers one after the other and row by row, ``[N]``."""
    return torch.cat([layer.flatten() for layer in layers])


def split(values: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return numbers ``[N]`` as tensors of the shapes of ``like``, one after the other; the inverse of :func:`flat`."""
    parts = torch.split(values, [one.numel() for one in like])
    return [part.view_as(one) for part, one in zip(parts, like, strict=True)]
