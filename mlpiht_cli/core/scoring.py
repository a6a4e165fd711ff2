"""Scores of a fitted network: one implementation for every method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.certified import certified_accuracy
from mlpiht_cli.core.metric import METRICS, Scored, r2
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.packed import packed_size
from mlpiht_cli.core.predictor import Predictor
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.core.recovery import planted_scores
from mlpiht_cli.core.weight_distance import distance_scores
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """Scores of one network on one problem; None where a score is not defined.

    ``value`` is the metric of the task, repeated in the field of its name where there is one; ``more`` holds further
    scores by name.
    """

    value: float | None
    final_loss: float
    psnr: float | None = None
    accuracy: float | None = None
    support_f1: float | None = None
    exact: bool | None = None
    more: Mapping[str, float] = field(default_factory=dict)


def matched_rows(found: NDArray[np.float64], truth: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of rows (found, true) matched one to one so that the supports share the most coordinates.

    Hidden neurons have no order; this gives them one. Shapes ``[a, d]`` and ``[b, d]``, ``min(a, b)`` pairs.
    """
    from scipy.optimize import linear_sum_assignment

    overlap = (found != 0).astype(float) @ (truth != 0).astype(float).T
    rows, cols = linear_sum_assignment(overlap, maximize=True)
    return list(zip(rows.tolist(), cols.tolist(), strict=True))


def support_f1(found: SparseMatrix, truth: SparseMatrix) -> float:
    """F1 score of the found support against the planted one, under the best matching of neurons."""
    a, b = ((matrix.dense_rows(matrix.live_rows()) != 0).double().cpu().numpy() for matrix in (found, truth))
    total = float(a.sum() + b.sum())
    shared = sum(float(a[i] @ b[j]) for i, j in matched_rows(a, b))
    return 2.0 * shared / total if total else 1.0


def neuron_directions(model: SparseMLP) -> Tensor:
    """Unit weight vectors of the first layer's neurons that reach the output, float64 ``[a, d]``.

    Neurons that share a vector up to its sign (their biases differ) count as one.
    """
    found = model.first_layer_support()
    rows = found.dense_rows(found.live_rows()).double()
    first = rows.gather(1, (rows != 0).double().argmax(1, keepdim=True))  # the first entry that is not zero
    unit: Tensor = torch.unique(rows / rows.norm(dim=1, keepdim=True) * first.sign(), dim=0)
    return unit


def alignment(model: SparseMLP, directions: SparseMatrix) -> float:
    """Median over the neurons of the length of a unit weight vector's part in the span of the directions.

    With one direction ``v`` it is ``|cos(w, v)|``. 0 without neurons.
    """
    parts = neuron_directions(model) @ directions.dense().to(model.layers[0].values.device, torch.float64).T
    return float(parts.norm(dim=1).median()) if len(parts) else 0.0


def support_recall(model: SparseMLP, directions: SparseMatrix) -> float:
    """Share of the directions' coordinates among the inputs that the first layer weighs most.

    Twice as many inputs as there are such coordinates count, so that a dense network does not have them all by being
    dense. Coordinates count by their squared length, which is the same for all where sparsity is hard.
    """
    found = model.first_layer_support()
    weight = found.values.new_zeros(found.cols, dtype=torch.float64)
    heaviest = top_s(weight.index_add(0, found.col, found.values.double().square()), 2 * directions.nnz)
    missed = directions.dense().square().sum(0)
    missed[heaviest.cpu()] = 0.0
    return 1.0 - float(missed.sum()) / directions.rows


def evaluate(model: Predictor, problem: Problem) -> Scores | None:
    """Score a model on the problem's test data, its loss on the training data.

    None if its predictions are not finite. Scores of weights are left out for a model that is no network.
    """
    with torch.no_grad():
        fitted = model.forward(problem.x)
        final_loss = float(LOSSES[problem.loss](fitted.double(), problem.y.double()))
        prediction = fitted if problem.x_test is problem.x else model.forward(problem.x_test)
    if not (math.isfinite(final_loss) and bool(torch.isfinite(prediction).all())):
        return None
    metric = METRICS[problem.metric]
    if metric.score is None:
        raise ValueError(f"a task cannot have the metric {problem.metric}, which has no function that computes it")
    value = metric.score(Scored(model, problem, prediction))
    more = {}
    if problem.x_test is not problem.x:
        more["test_loss"] = float(LOSSES[problem.loss](prediction.double(), problem.y_test.double()))
    if isinstance(model, SparseMLP):
        more |= _weight_scores(model, problem, prediction) | _network_scores(model, problem, prediction)
    own: dict[str, Any] = {problem.metric: value} if metric.column else {}
    return Scores(
        value,
        final_loss,
        **own,
        support_f1=more.pop("support_f1", None),
        exact=metric.is_exact(value),
        more=more,
    )


def _network_scores(model: SparseMLP, problem: Problem, prediction: Tensor) -> dict[str, float]:
    """Scores of a network that need no planted weights."""
    certified = certified_accuracy(model, problem, prediction)
    return {"packed_bytes": packed_size(model)} | ({} if certified is None else {"certified_accuracy": certified})


def _weight_scores(model: SparseMLP, problem: Problem, prediction: Tensor) -> dict[str, float]:
    """Scores of a network's weights against what was planted."""
    found = dict[str, float]()
    if problem.planted_layer is not None:
        found["support_f1"] = support_f1(model.first_layer_support(), problem.planted_layer)
    if not METRICS[problem.metric].linear:
        found |= planted_scores(model, problem) | distance_scores(model, problem)
    if problem.directions is not None:
        found |= _index_scores(model, problem.directions, r2(prediction, problem.y_test))
    return found


def _index_scores(model: SparseMLP, directions: SparseMatrix, r_squared: float | None) -> dict[str, float]:
    """Scores against the directions of an index model; ``mse_ratio`` is the mean squared error over the variance."""
    ratio = {} if r_squared is None else {"mse_ratio": 1.0 - r_squared}
    return {
        **ratio,
        "alignment": alignment(model, directions),
        "support_recall": support_recall(model, directions),
    }
