"""Rows of a table as other packages take them, and their linear models as networks."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.calibration import THRESHOLD
from mlpiht_cli.core.fit import Diverged, Events, Fact, Reached, Step
from mlpiht_cli.core.metric import METRICS
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.predictor import Predictor
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["numbers", "two classes", "classes"]
FOLDS = 5
"""Parts of the training rows in cross-validation."""


def kind_of(problem: Problem) -> Kind | None:
    """What is to be predicted; None for several outputs that are no classes."""
    if problem.loss == "cross_entropy":
        return "classes"
    if problem.k > 1:
        return None
    return "two classes" if METRICS[problem.metric].classes else "numbers"


def refusal(name: str, problem: Problem, kinds: tuple[Kind, ...]) -> str | None:
    """Return why a method of these kinds cannot treat a problem, or None if it can."""
    kind = kind_of(problem)
    if kind in kinds:
        return None
    known = {"numbers": "one output", "two classes": "two classes", "classes": "several classes"}
    there = known[kind] if kind else f"{problem.k} outputs that are no classes"
    return f"{name} predicts {' or '.join(known[one] for one in kinds)}, the problem has {there}"


def missing(name: str) -> str | None:
    """Return what to do if an optional package is not installed, or None if it is."""
    if importlib.util.find_spec(name) is not None:
        return None
    return f"needs {name}: pip install 'mlpiht[yardsticks]'"


def package(name: str) -> Any:
    """Import an optional package; none of them has type hints."""
    return importlib.import_module(name)


def affine(problem: Problem) -> tuple[float, float]:
    """Return the scale and the shift that turn a model's answers into outputs: 1 and 0 but for two classes.

    Log-odds of 0 become the threshold between the targets 0 and 1, where the slope is that of the probability.
    """
    return (0.25, THRESHOLD) if kind_of(problem) == "two classes" else (1.0, 0.0)


@dataclass(frozen=True)
class Rows:
    """The training rows as arrays.

    Attributes
    ----------
    kind
        What is to be predicted.
    x
        Features ``[n, p]`` in float64, without constant columns: other packages have an intercept of their own.
    columns
        Their columns in the problem's inputs, int64 ``[p]``.
    y
        Numbers ``[n]`` in float64, or labels 0, 1, ... in int64.
    """

    kind: Kind
    x: NDArray[np.float64]
    columns: NDArray[np.int64]
    y: NDArray[Any]

    @classmethod
    def of(cls, problem: Problem) -> Rows:
        """Take the training rows of a problem.

        Raises
        ------
        Diverged
            The data are not finite, all inputs are constant, or a class has no rows.
        """
        kind, x = kind_of(problem), problem.x.double().cpu().numpy()
        if kind is None:
            raise ValueError("the problem has several outputs that are no classes")
        if not (np.isfinite(x).all() and bool(problem.y.isfinite().all())):
            raise Diverged("the data are not finite, or too large")
        columns = np.flatnonzero(np.ptp(x, axis=0))
        y: Tensor = problem.y.argmax(1) if kind == "classes" else problem.y[:, 0].double()
        if kind == "two classes":
            y = (problem.y[:, 0] > THRESHOLD).long()
        if not len(columns):
            raise Diverged("all inputs are constant on the training rows")
        if kind != "numbers" and len(torch.unique(y)) < max(2, problem.k):
            raise Diverged("a class has no training rows")
        return cls(kind, x[:, columns], columns, y.cpu().numpy())

    def folds(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return training and held-out rows of each part, int64; the order is shuffled in one fixed way.

        Classes have equal shares in the parts, and there are no more parts than rows of the rarest class.

        Raises
        ------
        Diverged
            There are fewer than two rows, or rows of a class.
        """
        from sklearn.model_selection import KFold, StratifiedKFold

        least = len(self.y) if self.kind == "numbers" else int(np.unique(self.y, return_counts=True)[1].min())
        if least < 2:
            raise Diverged("cross-validation needs two rows, and two of each class")
        split = KFold if self.kind == "numbers" else StratifiedKFold
        return list(split(min(FOLDS, least), shuffle=True, random_state=0).split(self.x, self.y))

    def network(self, problem: Problem, weights: NDArray[np.float64], bias: NDArray[np.float64]) -> SparseMLP:
        """Return a linear model as a network of one layer, in the problem's dtype and on its device.

        For two classes the output is the log-odds as :func:`affine` puts them.

        Parameters
        ----------
        problem
            The problem that the rows are of.
        weights, bias
            ``[k, p]`` and ``[k]``; of two classes the log-odds of the second one, ``[1, p]`` and ``[1]``.
        """
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise Diverged("the weights are not finite")
        scale, shift = affine(problem)
        full = torch.zeros(problem.k, problem.d, dtype=torch.float64)
        full[:, torch.from_numpy(self.columns)] = torch.from_numpy(scale * weights)
        layer = SparseMatrix.from_dense(full.to(problem.x))
        return SparseMLP((layer,), bias=torch.from_numpy(scale * bias + shift).to(problem.x))


class Linear(NamedTuple):
    """A package's linear model: weights ``[k, p]``, bias ``[k]``, its passes over the data, and what it tells."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    passes: int
    facts: Mapping[str, Fact]


def events_of(problem: Problem, fit: Callable[[Rows], Linear]) -> Events:
    """Fit a linear model once, as a method's generator.

    The fact ``warnings`` is the number of the package's warnings, for example that it ended before its tolerance.
    """
    rows = Rows.of(problem)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        found = fit(rows)
    model = rows.network(problem, found.weights, found.bias)
    yield step_of(problem, model)
    yield Reached(model, facts={**found.facts, "warnings": len(noted)}, iterations=max(1, found.passes))


def step_of(problem: Problem, model: Predictor) -> Step:
    """Return the only step of a package's fit: the training loss of its model."""
    return Step(float(LOSSES[problem.loss](model.forward(problem.x), problem.y)))
