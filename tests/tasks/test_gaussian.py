from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.metric import EXACT_ERROR, relative_error
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import Scores, evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.gaussian import GaussianSparse


def matrix(values: list[list[float]]) -> SparseMatrix:
    return SparseMatrix.from_dense(torch.tensor(values, dtype=torch.float64))


def scores(model: SparseMLP, problem: Problem) -> Scores:
    found = evaluate(model, problem.to(torch.device("cpu"), torch.float64))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [0, 5])
def test_arrays_equal_the_definition(seed: int) -> None:
    problem = GaussianSparse(n=30, d=50).build(Axes(1, 4), Streams(seed))
    a = np.random.RandomState(seed + 2).normal(size=(30, 50)).astype(np.float32)
    place = np.random.RandomState(seed + 1).choice(50, 4, replace=False)
    truth = np.zeros(50)
    truth[place] = 1.0
    np.testing.assert_array_equal(problem.x.numpy(), a)
    np.testing.assert_allclose(problem.y[:, 0].numpy(), a.astype(np.float64) @ truth, rtol=1e-6)
    assert problem.truth is not None
    np.testing.assert_array_equal(problem.truth[0].dense().numpy(), truth[None, :])
    assert bool((problem.truth[0].index.diff() > 0).all()), "a sparse matrix is sorted"
    assert problem.x_test is problem.x
    assert (problem.metric, problem.loss) == ("relative_error", "squared")


def test_entries_may_be_normal_numbers() -> None:
    problem = GaussianSparse(n=30, d=50, values="normal").build(Axes(1, 4), Streams(3))
    draws = np.random.RandomState(4)
    place = np.sort(draws.choice(50, 4, replace=False))
    truth = np.zeros(50, dtype=np.float32)
    truth[place] = draws.normal(size=4)
    assert problem.truth is not None
    np.testing.assert_array_equal(problem.truth[0].dense().numpy(), truth[None, :])
    expected = problem.x.double().numpy() @ truth.astype(np.float64)
    np.testing.assert_allclose(problem.y[:, 0].numpy(), expected, rtol=1e-6)


def test_noise_is_on_the_training_targets_and_has_its_size() -> None:
    clean, noisy = (GaussianSparse(n=4000, d=5, noise=size).build(Axes(1, 2), Streams(0)) for size in (0.0, 0.3))
    assert torch.equal(noisy.x, clean.x)
    assert torch.equal(noisy.y_test, clean.y)
    drawn = (noisy.y - clean.y).numpy()
    assert drawn.std() == pytest.approx(0.3, rel=0.05)
    assert abs(drawn.mean()) < 0.02
    assert abs(np.corrcoef(drawn[:, 0], clean.y.numpy()[:, 0])[0, 1]) < 0.05


def test_more_ones_than_unknowns_need_a_word() -> None:
    with pytest.raises(InputError, match="s=6 is above the 5 unknowns"):
        GaussianSparse(n=3, d=5).build(Axes(1, 6), Streams(0))
    problem = GaussianSparse(n=3, d=5, clip_budget=True).build(Axes(1, 6), Streams(0))
    assert problem.truth is not None
    assert problem.truth[0].nnz == 5


def test_the_error_is_of_the_weights() -> None:
    truth = matrix([[0.0, 1.0, 1.0, 0.0]])
    assert relative_error(SparseMLP((truth,)), truth) == 0.0
    wrong = SparseMLP((matrix([[0.5, 1.0, 0.0, 0.0]]),))
    assert relative_error(wrong, truth) == pytest.approx(math.sqrt(0.25 + 1.0) / math.sqrt(2.0))
    assert relative_error(SparseMLP((SparseMatrix.zeros(1, 4, torch.zeros(1)),)), truth) == 1.0


def test_other_models_have_no_such_error() -> None:
    row = matrix([[1.0, 2.0]])
    others = [
        SparseMLP((row,), readout=torch.ones(1)),
        SparseMLP((row,), gates=row),
        SparseMLP((matrix([[1.0, 2.0], [3.0, 4.0]]),)),
        SparseMLP((matrix([[1.0, 2.0], [3.0, 4.0]]), row)),
        SparseMLP((matrix([[1.0, 2.0, 3.0]]),)),
    ]
    assert [relative_error(model, row) for model in others] == [None] * 5


def test_scores_of_a_found_a_near_and_a_wrong_vector() -> None:
    problem = GaussianSparse(n=30, d=50).build(Axes(1, 4), Streams(0))
    assert problem.truth is not None
    truth = problem.truth[0].to("cpu", torch.float64)
    right = scores(SparseMLP((truth,)), problem)
    assert (right.value, right.exact, right.support_f1) == (0.0, True, 1.0)
    assert (right.psnr, right.accuracy) == (None, None)
    assert right.final_loss < 1e-12
    for factor, exact in ((0.9, True), (1.1, False)):
        near = replace(truth, values=truth.values * (1.0 + factor * 1e-5))
        found = scores(SparseMLP((near,)), problem)
        assert found.value == pytest.approx(factor * 1e-5)
        assert found.exact is exact
    # Two of the four ones, and two that are none: precision and recall are a half.
    dense = truth.dense()
    dense[0, truth.col[:2]] = 0.0
    dense[0, (dense[0] == 0).nonzero()[:2]] = 1.0
    assert not set(truth.col[:2].tolist()) & {0, 1}
    half = scores(SparseMLP((SparseMatrix.from_dense(dense),)), problem)
    assert half.support_f1 == 0.5
    assert half.value == pytest.approx(1.0)


def test_exact_is_the_same_as_100_db() -> None:
    assert pytest.approx(1e-5) == EXACT_ERROR


def test_a_network_has_no_error_and_the_row_says_why(mlpiht: Callable[..., Any]) -> None:
    args = ("--task", "gaussian_sparse", "--m", 1, "--s", 3, "--n", 30, "--d", 40)
    row = mlpiht("fit", "--method", "iht", *args, "--json").json
    assert (row["status"], row["metric"], row["value"], row["exact"]) == ("ok", "relative_error", None, None)
    assert row["reason"] == "relative_error is undefined: the model is not one vector of weights like the planted one"
    assert row["support_f1"] is not None
