"""Metrics and other scores of a row: one table with every fact about each. Loads without torch.

A task names its metric, and :data:`METRICS` holds all that the rest of the program knows of it: how it is computed, the
label of its axis, which direction is better, when a fit is exact, how far apart close values are. A new metric is one
new entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mlpiht_cli.core.classes import class_of, of_one_class
from mlpiht_cli.core.theory_labels import LABELS, VERDICTS

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.core.predictor import Predictor
    from mlpiht_cli.core.problem import Problem
    from mlpiht_cli.linalg.sparse import SparseMatrix

EXACT_DB = 100.0
"""PSNR from which a fit counts as exact recovery: float32 labels show it as 140-165 dB (protocol, section 4)."""
PERFECT_DB = 170.0
"""Value of an infinite PSNR (no error at all) in a mean: a little above what float32 labels can show."""
EXACT_ERROR = 10.0 ** (-EXACT_DB / 20.0)
"""Relative error of the weights that counts as exact recovery: ``EXACT_DB`` as a ratio."""


class Scored(NamedTuple):
    """Input of a metric: a model, its problem, and its predictions ``[n, k]`` on the test inputs."""

    model: Predictor
    problem: Problem
    prediction: Tensor


@dataclass(frozen=True)
class Tolerance:
    """Largest difference at which two values are close.

    Attributes
    ----------
    absolute
        In units of the metric; None: relative.
    relative
        Share of the reference value.
    floor
        Least value that ``relative`` is a share of, so that a reference near 0 does not ask for equality.
    exact_alike
        Whether two values that both mean exact recovery are close, however far apart they are.
    """

    absolute: float | None = None
    relative: float = 1e-3
    floor: float = 0.0
    exact_alike: bool = False

    def around(self, reference: float, size: float | None = None) -> float:
        """Largest difference from a reference value that is close; ``size`` replaces ``absolute`` or ``relative``."""
        if self.absolute is not None:
            return self.absolute if size is None else size
        return (self.relative if size is None else size) * max(abs(reference), self.floor)

    @property
    def digits(self) -> int:
        """Digits after the point that show a difference of a tenth of the tolerance."""
        return 1 - math.floor(math.log10(self.relative if self.absolute is None else self.absolute))


@dataclass(frozen=True)
class Metric:
    """One metric of tasks, or another score of a row.

    Attributes
    ----------
    label
        Label of an axis, with the unit.
    score
        Computes the value; returns None where it is undefined. None for a score that is not the metric of any task.
    column
        Whether rows have a column of its name.
    always
        Whether a figure refuses finished rows without a value; otherwise one row with a value is enough.
    falling
        Whether less is better; None where neither direction is, which comparisons treat as False.
    classes
        Whether it counts right classes: targets of one output are then two classes, not numbers.
    linear
        Whether it compares the weights of linear models, which have no hidden neurons to match.
    unit
        Follows a value in a title, with its space; empty: the metric's name follows.
    digits
        Digits after the point in tables.
    exact
        Value from which on a fit counts as exact recovery.
    perfect
        Finite number that replaces an infinite value in means.
    bounded
        Whether no value exceeds the upper limit.
    limits
        Limits of its colours.
    tolerance
        Largest difference of close values.
    within
        Column that bounds it: a value that is not below the bound means that the run ended first.
    undefined
        Why ``score`` returns None.
    trivial
        Says of a problem why a model that ignores the inputs has a perfect score; None where it has not.
    aliases
        Further names of its column in references.
    words
        Values of a measure that is a word, the best first.
    """

    label: str
    score: Callable[[Scored], float | None] | None = None
    column: bool = False
    always: bool = False
    falling: bool | None = False
    classes: bool = False
    linear: bool = False
    unit: str = ""
    digits: int = 4
    exact: float | None = None
    perfect: float | None = None
    bounded: bool = False
    limits: tuple[float, float] | None = None
    tolerance: Tolerance = Tolerance()
    within: str | None = None
    undefined: str = ""
    trivial: Callable[[Problem], str | None] = lambda _: None
    aliases: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def is_exact(self, value: float | None) -> bool | None:
        """Whether a value means exact recovery; None for no value, and for a metric without an exact level."""
        if self.exact is None or value is None:
            return None
        return self.reaches(value, self.exact)

    def reaches(self, value: float, level: float) -> bool:
        """Whether a value is at a level or better."""
        return value <= level if self.falling else value >= level

    def countable(self, value: float) -> float:
        """The value as means count it: ``perfect`` in place of infinity."""
        return self.perfect if self.perfect is not None and value == math.inf else value

    def close(self, value: float, reference: float, size: float | None = None, noise: float = 0.0) -> bool:
        """Whether a value is close to a reference.

        Parameters
        ----------
        value, reference
            As :meth:`countable` returns them, or means of such values.
        size
            Replaces the size of ``tolerance``.
        noise
            Difference that chance alone explains; it counts where it is larger than the tolerance.
        """
        if self.tolerance.exact_alike and self.is_exact(value) and self.is_exact(reference):
            return True
        if not (math.isfinite(value) and math.isfinite(reference)):
            return value == reference
        return abs(value - reference) <= max(self.tolerance.around(reference, size), noise) * (1 + 1e-12)


def psnr(prediction: Tensor, target: Tensor, peak: float) -> float:
    """Peak signal-to-noise ratio in dB, ``20 log10(peak) - 10 log10(MSE)``; inf for a perfect fit."""
    mse = float((prediction.double() - target.double()).square().mean())
    if mse == 0.0:
        return math.inf
    return 20.0 * math.log10(peak) - 10.0 * math.log10(mse) if peak > 0.0 else math.nan


def accuracy(prediction: Tensor, target: Tensor) -> float:
    """Share of correct classes."""
    return float((class_of(prediction) == class_of(target)).double().mean())


def r2(prediction: Tensor, target: Tensor) -> float | None:
    """Coefficient of determination, 1 - MSE / Var(target); None for a constant target."""
    centred = target.double() - target.double().mean()
    total = float(centred.square().sum())
    return 1.0 - float((prediction.double() - target.double()).square().sum()) / total if total else None


def relative_error(model: Predictor, truth: SparseMatrix | None) -> float | None:
    """Relative l2 error ``|w - truth| / |truth|`` of a linear model's weight vector, in float64.

    None unless the model is one linear layer of the shape of ``truth``, ``[1, d]``.
    """
    from mlpiht_cli.core.model import SparseMLP

    if truth is None or not isinstance(model, SparseMLP):
        return None
    layer = model.layers[0]
    linear = len(model.layers) == 1 and model.readout is None and model.gates is None
    if not linear or (layer.rows, layer.cols) != (1, truth.cols):
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
        tolerance=Tolerance(absolute=0.5, exact_alike=True),  # above 100 dB it shows how numbers are rounded
        aliases=("psnr_db",),
    ),
    "accuracy": Metric(
        "test accuracy",
        lambda fit: accuracy(fit.prediction, fit.problem.y_test),
        column=True,
        always=True,
        classes=True,
        bounded=True,
        limits=(0.5, 1.0),
        tolerance=Tolerance(absolute=0.005),
        trivial=lambda problem: of_one_class(problem.y_test),
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
        linear=True,
        exact=EXACT_ERROR,
        limits=(0.0, 1.0),
        tolerance=Tolerance(floor=1e-3),  # an error of 1e-7 is rounding
        undefined="the model is not one vector of weights like the planted one",
    ),
    "support_f1": Metric("F1 of the support", column=True, always=True),
    "exact": Metric("exact", column=True),
    "nnz": Metric("nnz", column=True, falling=True, digits=1),
    "iterations": Metric("iterations", column=True, falling=True, digits=1),
    "settled": Metric("step from which the support stays", column=True, falling=True, digits=1, within="iterations"),
    "final_loss": Metric("training loss", column=True, falling=True),
    "wall_s": Metric("wall time (s)", column=True, falling=True),
    "cpu_s": Metric("processor time (s)", column=True, falling=True),
    "passes": Metric("passes over the data", falling=True, digits=1),
    "pruned": Metric("weights that the last prune by magnitude takes", falling=None, digits=1),
    "certified_accuracy": Metric(
        "certified test accuracy", bounded=True, limits=(0.0, 1.0), tolerance=Tolerance(absolute=0.005)
    ),
    "packed_bytes": Metric("packed size (bytes)", falling=True, digits=0),
    "relative_weight_error": Metric("relative error of the weights, neurons matched", falling=True, limits=(0.0, 1.0)),
    "mse_ratio": Metric("test MSE / variance", falling=True),
    "alignment": Metric("median alignment"),
    "support_recall": Metric("share of true coordinates found"),
    "gates_changed": Metric("share of mask entries that change", falling=None),
    "gates_settled": Metric("step from which no gate changes", falling=True, digits=1),
    "lipschitz": Metric("smoothness constant L", falling=None),
    "on_support_gradient": Metric("largest gradient on the support", falling=True),
    "off_support_ratio": Metric("ratio off the support", falling=True),
    **{name: Metric(label, falling=falling) for name, (label, falling) in LABELS.items()},
    "verdict": Metric("verdict of the theorem", falling=None, words=VERDICTS),
}
"""Facts by name: metrics of tasks first, then other scores, then measures that some methods and tasks report."""


def metric(name: str) -> Metric:
    """Facts of a metric; a measure without an entry, which any method may report, has its name as its label."""
    return METRICS.get(name) or Metric(name.replace("_", " "))


def task_metrics() -> dict[str, Metric]:
    """Metrics that a task can have: those that are computed."""
    return {name: one for name, one in METRICS.items() if one.score is not None}
