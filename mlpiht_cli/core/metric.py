"""Metrics and the other scores of a row: one table with every fact about each. Loads without torch.

A task names its metric, and :data:`METRICS` says all that the rest of the program has to know of it: how to compute it,
what an axis calls it, which direction is better, when a fit is exact, how far two values may lie apart. To add one, add
one entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.core.problem import Problem
    from mlpiht_cli.linalg.sparse import SparseMatrix

EXACT_DB = 100.0
"""PSNR from which a fit counts as exact recovery: float32 labels show it as 140-165 dB (protocol, section 4)."""
PERFECT_DB = 170.0
"""What a PSNR of inf (no error at all) counts for in a mean: a little above what float32 labels can show."""
EXACT_ERROR = 10.0 ** (-EXACT_DB / 20.0)
"""Relative error of the weights that counts as exact recovery: ``EXACT_DB`` as a ratio."""


class Scored(NamedTuple):
    """What a metric is computed of: a network, its problem, and its predictions ``[n, k]`` on the test inputs."""

    model: SparseMLP
    problem: Problem
    prediction: Tensor


@dataclass(frozen=True)
class Tolerance:
    """How far two values may lie apart and still count as close.

    Attributes
    ----------
    absolute
        In units of the metric; None: relative.
    relative
        Share of the reference value.
    floor
        What ``relative`` refers to at least, so that a reference of about 0 does not ask for equality.
    """

    absolute: float | None = None
    relative: float = 1e-3
    floor: float = 0.0

    def around(self, reference: float) -> float:
        """Largest difference from a reference value that is close."""
        return self.relative * max(abs(reference), self.floor) if self.absolute is None else self.absolute


@dataclass(frozen=True)
class Metric:
    """One metric of tasks, or another score of a row.

    Attributes
    ----------
    label
        What an axis calls it, with its unit.
    score
        How it is computed; None where its value is undefined. A metric that no task has leaves this out.
    column
        Whether rows have a column of its name.
    always
        Whether every row of a task that has it must hold a value, so that a figure of it refuses other rows.
    falling
        Whether less is better.
    unit
        What follows a value in words.
    digits
        Digits after the point in tables.
    exact
        Value from which on a fit counts as exact recovery.
    perfect
        What an infinite value counts for in a mean.
    bounded
        Whether no value can be better than the upper limit.
    limits
        Limits of its colours.
    tolerance
        How far two values may lie apart and be close.
    undefined
        Why ``score`` can be None.
    aliases
        Further names of its column in references.
    """

    label: str
    score: Callable[[Scored], float | None] | None = None
    column: bool = False
    always: bool = False
    falling: bool = False
    unit: str = ""
    digits: int = 4
    exact: float | None = None
    perfect: float | None = None
    bounded: bool = False
    limits: tuple[float, float] | None = None
    tolerance: Tolerance = Tolerance()
    undefined: str = ""
    aliases: tuple[str, ...] = ()

    def is_exact(self, value: float | None) -> bool | None:
        """Whether a value means exact recovery; None where no value of the metric does, or there is none."""
        if self.exact is None or value is None:
            return None
        return value <= self.exact if self.falling else value >= self.exact

    def countable(self, value: float) -> float:
        """The value as it counts in means: ``perfect`` in place of an infinite one that is the best there is."""
        return self.perfect if self.perfect is not None and value == math.inf else value


def psnr(prediction: Tensor, target: Tensor, peak: float) -> float:
    """Peak signal-to-noise ratio in dB, ``20 log10(peak) - 10 log10(MSE)``; inf for a perfect fit."""
    mse = float((prediction.double() - target.double()).square().mean())
    if mse == 0.0:
        return math.inf
    return 20.0 * math.log10(peak) - 10.0 * math.log10(mse) if peak > 0.0 else math.nan


def accuracy(prediction: Tensor, target: Tensor) -> float:
    """Share of right classes: threshold 0.5 for one output, largest output for several."""
    binary = target.shape[1] == 1
    found, true = (prediction > 0.5, target > 0.5) if binary else (prediction.argmax(1), target.argmax(1))
    return float((found == true).double().mean())


def r2(prediction: Tensor, target: Tensor) -> float | None:
    """Coefficient of determination, 1 - MSE / Var(target); None for a constant target."""
    centred = target.double() - target.double().mean()
    total = float(centred.square().sum())
    return 1.0 - float((prediction.double() - target.double()).square().sum()) / total if total else None


def relative_error(model: SparseMLP, truth: SparseMatrix | None) -> float | None:
    """Relative l2 error ``|w - truth| / |truth|`` of a linear model's weight vector, in float64.

    None unless the model is one linear layer of the shape of ``truth``, ``[1, d]``.
    """
    layer = model.layers[0]
    linear = len(model.layers) == 1 and model.readout is None and model.gates is None
    if truth is None or not linear or (layer.rows, layer.cols) != (1, truth.cols):
        return None
    found, true = (matrix.dense().double().cpu() for matrix in (layer, truth))
    return float((found - true).norm() / true.norm())


METRICS: dict[str, Metric] = {
    "psnr": Metric(
        "PSNR (dB)",
        lambda fit: psnr(fit.prediction, fit.problem.y_test, fit.problem.peak),
        column=True,
        always=True,
        unit=" dB",
        digits=1,
        exact=EXACT_DB,
        perfect=PERFECT_DB,
        limits=(-20.0, 50.0),
        tolerance=Tolerance(absolute=0.5),
        aliases=("psnr_db",),
    ),
    "accuracy": Metric(
        "test accuracy",
        lambda fit: accuracy(fit.prediction, fit.problem.y_test),
        column=True,
        always=True,
        bounded=True,
        limits=(0.5, 1.0),
        tolerance=Tolerance(absolute=0.005),
    ),
    "r2": Metric(
        "R² on held-out rows",
        lambda fit: r2(fit.prediction, fit.problem.y_test),
        always=True,
        limits=(0.0, 1.0),
        tolerance=Tolerance(floor=1.0),  # an R² of 0 is nothing special
        undefined="the held-out target is constant",
    ),
    "relative_error": Metric(
        "relative error of the weights",
        lambda fit: relative_error(fit.model, fit.problem.planted_layer),
        always=True,
        falling=True,
        exact=EXACT_ERROR,
        limits=(0.0, 1.0),
        tolerance=Tolerance(floor=1e-3),  # an error of 1e-7 is rounding
        undefined="the model is not one vector of weights like the planted one",
    ),
    "support_f1": Metric("F1 of the support", column=True, always=True),
    "exact": Metric("exact", column=True),
    "nnz": Metric("nnz", column=True, falling=True, digits=1),
    "iterations": Metric("iterations", column=True, falling=True, digits=1),
    "settled": Metric("step from which the support stays", column=True, falling=True, digits=1),
    "final_loss": Metric("training loss", column=True, falling=True),
    "wall_s": Metric("wall s", column=True, falling=True),
    "mse_ratio": Metric("test MSE / variance", falling=True),
    "alignment": Metric("median alignment"),
    "support_recall": Metric("share of true coordinates found"),
    "lipschitz": Metric("smoothness constant L"),
    "on_support_gradient": Metric("largest gradient on the support", falling=True),
    "off_support_ratio": Metric("ratio off the support", falling=True),
}
"""Facts by name: metrics of tasks first, then other scores, then measures that some methods and tasks give."""


def metric(name: str) -> Metric:
    """Facts of a metric; a measure that has no entry, which a method of yours may give, is called by its name."""
    return METRICS.get(name) or Metric(name.replace("_", " "))


def task_metrics() -> dict[str, Metric]:
    """Metrics that a task can have: those that are computed."""
    return {name: one for name, one in METRICS.items() if one.score is not None}
