"""Training of a compacted network: its free weights, and their gradient on some samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mlpiht_cli.baselines.compact import Part
from mlpiht_cli.core.problem import LOSSES, Problem

if TYPE_CHECKING:
    from torch import Tensor


class TrainedNetwork(Protocol):
    """A network whose parameters an optimiser trains."""

    @property
    def parameters(self) -> list[Tensor]:
        """Free weights; each has a gradient after :meth:`backward`."""

    def arrange(self, order: Tensor | None, spans: Sequence[tuple[int, int]]) -> None:
        """Put the samples in an order (int64 ``[n]``; None: that of the data), split into batches ``(first, end)``."""

    def backward(self, first: int, last: int) -> Tensor | float:
        """Return the loss on a batch, samples ``first`` to ``last - 1`` of the order, and set the gradients."""

    def weights(self) -> list[Tensor]:
        """Return the weights of the layers, each ``[rows, cols]`` of its part."""

    def values(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """Return numbers ``[rows, cols]`` of each layer's part in the shapes of the parameters."""

    def layers(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return numbers in the shapes of the parameters as ``[rows, cols]`` of each part; the inverse of `values`."""


def predicted(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return the predictions ``[n, k]`` of a dense network, ``weights`` each ``[out, in]``, for inputs ``[n, d]``."""
    *inner, output = weights
    for weight in inner:
        x = (x @ weight.T).relu()
    return x @ output.T


class TorchNetwork:
    """Dense torch products with masked weights and automatic gradients: for GPUs, and to check the compiled form."""

    def __init__(self, problem: Problem, parts: Sequence[Part], initial: Sequence[Tensor]) -> None:
        self._loss, self._y = LOSSES[problem.loss], problem.y
        self._order: Tensor | None = None
        self._x = problem.x if len(parts[0].cols) == problem.d else problem.x[:, parts[0].cols]
        self._masks = [part.mask for part in parts]
        self.parameters = [part.take(w).requires_grad_() for part, w in zip(parts, initial, strict=True)]

    def arrange(self, order: Tensor | None, spans: Sequence[tuple[int, int]]) -> None:
        """See :class:`TrainedNetwork`."""
        self._order = order

    def backward(self, first: int, last: int) -> Tensor:
        """See :class:`TrainedNetwork`; the loss stays on the device."""
        rows = slice(first, last) if self._order is None else self._order[first:last]
        masked = [weight * mask for weight, mask in zip(self.parameters, self._masks, strict=True)]
        loss = self._loss(predicted(masked, self._x[rows]), self._y[rows])
        for weight in self.parameters:
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def weights(self) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        return [weight.detach() for weight in self.parameters]

    def values(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        return [layer.clone() for layer in layers]

    def layers(self, values: Sequence[Tensor]) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        return list(values)
