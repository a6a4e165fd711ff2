"""A learning problem: data, loss and what is known about the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["squared", "cross_entropy"]


@dataclass(frozen=True)
class Problem:
    """Data set, loss and metric that every method is given alike.

    Attributes
    ----------
    x, y
        Training inputs ``[n, d]`` and targets ``[n, k]``, float32 unless moved.
    x_test, y_test
        What the metric is computed on; the training set itself where the task says so (planted: the metric
        measures fit).
    metric, loss
        Names; see :data:`mlpiht_cli.core.metric.METRICS` and :data:`LOSSES`.
    peak
        Peak value of the PSNR, 0 where it is not defined.
    truth
        Planted layers, input side first, each ``[out, in]``; None where nothing was planted.
    truth_readout
        Output signs of the last planted layer's neurons, ``[m]`` of +1 and -1; None where all are +1.
    directions
        Orthonormal rows ``V`` ``[r, d]`` of an index model, whose target is a function of ``V x`` alone; None where
        there are none.
    notes
        Facts about the data that belong in the row's params (an unofficial checksum, for instance).
    recipe
        How rows of a table become inputs, and predictions become targets (JSON values); saved with a model.
    image
        Shape of the image whose pixels are the targets, in order: predictions times 255 are the picture. None where the
        problem is not one image.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    metric: str
    loss: Loss = "squared"
    peak: float = 0.0
    truth: tuple[SparseMatrix, ...] | None = None
    truth_readout: Tensor | None = None
    directions: SparseMatrix | None = None
    notes: Mapping[str, object] = field(default_factory=dict)
    recipe: Mapping[str, object] | None = None
    image: tuple[int, ...] | None = None

    @property
    def n(self) -> int:
        """Training samples."""
        return self.x.shape[0]

    @property
    def d(self) -> int:
        """Input features."""
        return self.x.shape[1]

    @property
    def k(self) -> int:
        """Outputs."""
        return self.y.shape[1]

    @property
    def planted_layer(self) -> SparseMatrix | None:
        """The planted weights where there is one layer of them."""
        return self.truth[0] if self.truth is not None and len(self.truth) == 1 else None

    def to(self, device: torch.device, dtype: torch.dtype) -> Problem:
        """Return the problem on another device or in another dtype; shared test data stay shared."""
        x, y = self.x.to(device, dtype), self.y.to(device, dtype)
        x_test = x if self.x_test is self.x else self.x_test.to(device, dtype)
        y_test = y if self.y_test is self.y else self.y_test.to(device, dtype)
        return replace(self, x=x, y=y, x_test=x_test, y_test=y_test)


def squared_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over all entries of the squared error."""
    return (prediction - target).square().mean()


def cross_entropy_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of logits ``[n, k]`` against one-hot targets ``[n, k]``."""
    return torch.nn.functional.cross_entropy(prediction, target)


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared_loss,
    "cross_entropy": cross_entropy_loss,
}
