"""A learning problem: the data, the loss and the planted truth if there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from mlpiht_cli.core.columns import COLUMNS
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["squared", "cross_entropy"]


@dataclass(frozen=True)
class Ball:
    """Inputs near a sample: no feature is further away than its radius, and none leaves its range.

    Attributes
    ----------
    radius
        Largest distance of each feature, in units of the inputs, ``[d]`` or ``[1]``.
    low, high
        Least and largest value that a feature can have, the same shapes.
    """

    radius: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Problem:
    """Data set, loss and metric; every method gets the same.

    Attributes
    ----------
    x, y
        Training inputs ``[n, d]`` and targets ``[n, k]``; float32 unless :meth:`to` changed it.
    x_test, y_test
        Data that the metric is computed on. Some tasks use the training set itself (planted: the metric measures
        fit).
    metric, loss
        Names; see :data:`mlpiht_cli.core.metric.METRICS` and :data:`LOSSES`.
    peak
        Peak value of the PSNR; 0 if the PSNR is not defined.
    truth
        Planted layers, input side first, each ``[out, in]``; None if nothing was planted.
    truth_readout
        Output signs of the neurons of the last planted layer, ``[m]`` of +1 and -1; None if all are +1.
    directions
        Orthonormal rows ``V`` ``[r, d]`` of an index model, whose target is a function of ``V x`` alone; None for
        other tasks.
    notes
        Facts about the data that belong in the params of the row (for example an unofficial checksum).
    recipe
        How rows of a table become inputs, and predictions become targets (JSON values); saved with a model.
    image
        Shape of the image whose pixels are the targets, in order: predictions times 255 are the picture. None where the
        problem is not one image.
    ball
        Changes of a test input that its class should survive; None where the task knows no unit of its inputs. See
        :func:`mlpiht_cli.core.certified.certified_accuracy`.
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
    ball: Ball | None = None

    @property
    def n(self) -> int:
        """Number of training samples."""
        return self.x.shape[0]

    @property
    def d(self) -> int:
        """Number of input features."""
        return self.x.shape[1]

    @property
    def k(self) -> int:
        """Number of outputs."""
        return self.y.shape[1]

    @property
    def columns(self) -> Tensor:
        """Training inputs feature by feature, ``[d, n]`` and contiguous; one tensor for all fits of this problem.

        It is kept while the problem lives, unless another problem's columns take its place.
        """
        return COLUMNS.of(self.x, self)

    @property
    def planted_layer(self) -> SparseMatrix | None:
        """The planted weights if exactly one layer was planted, else None."""
        return self.truth[0] if self.truth is not None and len(self.truth) == 1 else None

    def to(self, device: torch.device, dtype: torch.dtype) -> Problem:
        """Return the problem on another device or in another dtype.

        If the test inputs are the training inputs, they stay one tensor. What is there already is not copied.
        """
        if all(part.dtype == dtype and part.device == device for part in (self.x, self.y, self.x_test, self.y_test)):
            return self
        x, y = self.x.to(device, dtype), self.y.to(device, dtype)
        x_test = x if self.x_test is self.x else self.x_test.to(device, dtype)
        y_test = y if self.y_test is self.y else self.y_test.to(device, dtype)
        return replace(self, x=x, y=y, x_test=x_test, y_test=y_test)


def squared_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean over all entries of the squared error."""
    return (prediction - target).square().mean()


def cross_entropy_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits ``[n, k]`` against one-hot targets ``[n, k]``."""
    return torch.nn.functional.cross_entropy(prediction, target)


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared_loss,
    "cross_entropy": cross_entropy_loss,
}
