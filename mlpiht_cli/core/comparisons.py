"""What the score of a fit is held against: its training score, and a model that does not look at the inputs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from mlpiht_cli.core.metric import METRICS, Scored
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.predictor import Predictor
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.linalg.sparse import SparseMatrix


class Tested(NamedTuple):
    """A model on test data: the problem's metric, nan where it is undefined, and its loss."""

    score: float
    loss: float


def tested(model: Predictor, problem: Problem) -> Tested:
    """Return metric and loss on a problem's test data; nan and infinity if the predictions are not finite."""
    typed = problem.to(problem.x.device, model.dtype if isinstance(model, SparseMLP) else problem.x.dtype)
    prediction, metric = model.forward(typed.x_test), METRICS[problem.metric]
    if not bool(prediction.isfinite().all()):
        return Tested(math.nan, math.inf)
    assert metric.score is not None, f"{problem.metric} is no metric of a problem"
    score = metric.score(Scored(model, typed, prediction))
    loss = float(LOSSES[problem.loss](prediction.double(), typed.y_test.double()))
    return Tested(math.nan if score is None else score, loss)


def constant(problem: Problem) -> SparseMLP:
    """Return the best model without inputs: the mean of the training targets, or their most frequent class."""
    y = problem.y
    offset = y.mean(0)
    if METRICS[problem.metric].classes:
        offset = (offset > 0.5).to(y.dtype) if problem.k == 1 else (offset == offset.max()).to(y.dtype)
    return SparseMLP((SparseMatrix.zeros(problem.k, problem.d, problem.x),), bias=offset)


def constant_name(problem: Problem) -> str:
    """Return what :func:`constant` predicts, in words."""
    return "most frequent class" if METRICS[problem.metric].classes else "mean of the target"


def comparisons(model: Predictor, line: Predictor | None, problem: Problem) -> dict[str, float]:
    """Return scores that belong next to a fit's test score, by name.

    ``train_score`` is the fit's score on the training data. ``baseline_score`` is the test score of :func:`constant`,
    ``baseline_train_score`` its training score. ``line_score`` is the test score of a sparse line, if there is one.
    """
    training, without = replace(problem, x_test=problem.x, y_test=problem.y), constant(problem)
    found = {
        "train_score": tested(model, training).score,
        "baseline_score": tested(without, problem).score,
        "baseline_train_score": tested(without, training).score,
    }
    return found if line is None else {**found, "line_score": tested(line, problem).score}
