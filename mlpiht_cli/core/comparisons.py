"""What the score of a fit is held against: its training score, and a model that does not look at the inputs."""

from __future__ import annotations

import math
from dataclasses import replace

from mlpiht_cli.core.metric import METRICS, Scored
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.predictor import Predictor
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.sparse import SparseMatrix


def constant(problem: Problem) -> SparseMLP:
    """Return the best model without inputs: the mean of the training targets, or their most frequent class."""
    y = problem.y
    offset = y.mean(0)
    if METRICS[problem.metric].classes:
        offset = (offset > 0.5).to(y.dtype) if problem.k == 1 else (offset == offset.max()).to(y.dtype)
    return SparseMLP((SparseMatrix.zeros(problem.k, problem.d, problem.x),), bias=offset)


def score(model: Predictor, problem: Problem) -> float:
    """Return the problem's metric on its test data; nan where it is undefined."""
    dtype = model.layers[0].values.dtype if isinstance(model, SparseMLP) else problem.x.dtype
    typed = problem.to(problem.x.device, dtype)
    metric = METRICS[problem.metric]
    if metric.score is None:
        raise ValueError(f"{problem.metric} has no function that computes it")
    value = metric.score(Scored(model, typed, model.forward(typed.x_test)))
    return math.nan if value is None else value


def comparisons(model: Predictor, line: Predictor | None, problem: Problem) -> dict[str, float]:
    """Return scores that belong next to a fit's test score, by name.

    ``train_score`` is the fit's score on the training data. ``baseline_score`` is the test score of :func:`constant`,
    ``baseline_train_score`` its training score. ``line_score`` is the test score of a sparse line, if there is one.
    """
    training, without = replace(problem, x_test=problem.x, y_test=problem.y), constant(problem)
    found = {
        "train_score": score(model, training),
        "baseline_score": score(without, problem),
        "baseline_train_score": score(without, training),
    }
    return found if line is None else {**found, "line_score": score(line, problem)}
