"""The network without weights, against the answer 0 written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mlpiht_cli.baselines.zero import Zero
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted


@pytest.mark.parametrize(("k", "depth"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_it_answers_zero_and_scores_what_zero_scores(k: int, depth: int) -> None:
    problem = Planted(n=300, d=8, k=k).build(Axes(6, 30, depth), Streams(1))
    high, low = Zero().fit_path(problem, Shape(6, depth), [4, 10], Streams(1))
    assert (high.budget, low.budget, high.iterations) == (10, 4, 0)
    assert [(layer.rows, layer.cols, layer.nnz) for layer in low.model.layers] == [
        (6, 8, 0),
        *[(6, 6, 0)] * (depth - 1),
        (k, 6, 0),
    ]
    assert torch.equal(low.model.forward(problem.x), torch.zeros_like(problem.y))
    scores = evaluate(low.model, problem)
    assert scores is not None
    y = problem.y.double().numpy()
    assert scores.value == pytest.approx(20 * math.log10(np.abs(y).max()) - 10 * math.log10((y**2).mean()))
    assert Zero().weights(8, k, Shape(6, depth)) == sum(layer.rows * layer.cols for layer in low.model.layers)
