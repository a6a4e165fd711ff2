from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mlpiht_cli.baselines.best_subset import BestSubset
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.newton import newton
from mlpiht_cli.linalg.smooth import Softmax
from mlpiht_cli.linalg.stability import ht_stability
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_smooth import IHTSmooth
from mlpiht_cli.tasks.iris import Iris
from mlpiht_cli.tasks.planted import Planted


@pytest.fixture(scope="module")
def iris() -> Problem:
    return Iris().build(Axes(1, 5), Streams(0))


def best(problem: Problem, s: int, **settings: Any) -> Fit:
    (fit,) = BestSubset(**settings).fit_path(problem, Shape(1), [s], Streams(0))
    return fit


def test_least_squares_over_all_supports() -> None:
    problem = Planted(n=30, d=6).build(Axes(3, 4), Streams(0)).to(torch.device("cpu"), torch.float64)
    x, y = problem.x.numpy(), problem.y.numpy()[:, 0]
    errors = {
        kept: np.linalg.lstsq(x[:, list(kept)], y, rcond=None)[1].sum() / 30 for kept in combinations(range(6), 3)
    }
    fit = best(problem, 3)
    kept = min(errors, key=lambda one: errors[one])
    assert fit.facts["objective"] == pytest.approx(errors[kept], rel=1e-9)
    assert fit.model.layers[0].col.tolist() == list(kept)
    assert (fit.facts["supports"], fit.model.nnz) == (20, 3)


def test_softmax_over_all_pairs_with_scipys_minimiser(iris: Problem) -> None:
    loss = Softmax(iris.x, iris.y, 0.01)

    def solved(kept: tuple[int, ...]) -> float:
        def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
            theta = np.zeros(15)
            theta[list(kept)] = values
            value, gradient = loss.value_and_gradient(theta)
            return float(value), gradient[list(kept)]

        return float(minimize(objective, np.zeros(len(kept)), jac=True, tol=1e-12).fun)

    found = best(iris, 2, ridge=0.01)
    assert found.facts["objective"] == pytest.approx(min(map(solved, combinations(range(15), 2))), rel=1e-7)
    assert found.facts["supports"] == 105


@pytest.mark.parametrize("ridge", [0.0, 1e-4])
def test_no_start_of_iht_is_below_the_optimum(iris: Problem, ridge: float) -> None:
    for s in (2, 4):
        optimum = float(best(iris, s, ridge=ridge).facts["objective"])
        starts = [
            float(fit.facts["objective"])
            for seed in range(10)
            for fit in IHTSmooth(ridge=ridge).fit_path(iris, Shape(1), [s], Streams(seed))
        ]
        assert optimum <= min(starts) + 1e-9
        assert optimum > 0.5 * min(starts), "it is not far below either: the test would see a wrong objective"


def test_the_optimum_is_stable_and_falls_with_s(iris: Problem) -> None:
    loss, values = Softmax(iris.x, iris.y, 1e-4), []
    for s in (1, 2, 3, 13, 14, 15):
        fit = best(iris, s, ridge=1e-4)
        theta = np.asarray(fit.model.layers[0].dense().numpy()).ravel()
        _, gradient = loss.value_and_gradient(theta)
        assert ht_stability(theta, gradient, s, 1 / loss.bound(), 1e-6).stable
        assert fit.facts["on_support_gradient"] <= 1e-9
        values.append(float(fit.facts["objective"]))
    assert values == sorted(values, reverse=True)
    dense = minimize(lambda theta: [float(p) if p.ndim == 0 else p for p in loss.value_and_gradient(theta)],
                     np.zeros(15), jac=True, tol=1e-12)  # fmt: skip
    assert values[-1] == pytest.approx(dense.fun, rel=1e-7)


def test_no_value_ever_rises_and_steps_end_where_classes_separate() -> None:
    """Two classes apart without a ridge: the infimum 0 is at infinity, and comes nearer by a factor a step."""
    loss = Softmax(torch.tensor([[1.0], [2.0], [-1.0], [-3.0]]), torch.eye(2)[[0, 0, 1, 1]])
    path = [float(point.value[0]) for point in newton(loss, np.array([[0, 1]]), 1e-9)]
    assert all(b < a for a, b in pairwise(path))
    assert path[-1] < 1e-8
    assert 10 < len(path) < 40
    problem = Problem(
        torch.tensor([[1.0], [-1.0]]), torch.eye(2), torch.ones(1, 1), torch.eye(2)[:1], "accuracy", "cross_entropy"
    )
    assert best(problem, 2, newton_steps=3).iterations == 4


def test_steps_that_overshoot_are_halved() -> None:
    """Classes apart and a ridge so small that the ninth full Newton step would rise from .001 to .335."""
    x = torch.tensor([[-0.7, -0.3], [0.5, 0.0], [2.2, -0.5], [0.5, -2.0], [6.9, -1.7]], dtype=torch.float64)
    loss = Softmax(x, torch.eye(2)[[1, 0, 0, 1, 0]], 1e-6)
    path = list(newton(loss, np.array([[0, 1]]), 1e-9))
    assert all(b.value[0] <= a.value[0] for a, b in pairwise(path))
    assert float(path[-1].slope[0]) <= 1e-9


def test_every_chunk_of_supports_counts(iris: Problem) -> None:
    """3003 supports of 5 come in two chunks, and the best one is in the first."""
    every = np.array(list(combinations(range(15), 5)))
    *_, solved = newton(Softmax(iris.x, iris.y, 0.01), every, 1e-9)
    first = int(solved.value.argmin())
    assert first < 2048
    fit = best(iris, 5, ridge=0.01)
    assert fit.model.layers[0].index.tolist() == every[first].tolist()
    assert fit.facts["supports"] == 3003


def test_the_callback_sees_every_step(iris: Problem) -> None:
    seen: list[tuple[int, float]] = []
    fit = BestSubset().fit(iris, Shape(1), 2, Streams(0), lambda step, value: seen.append((step, value)))
    assert [step for step, _ in seen] == list(range(1, fit.iterations + 1))
    assert seen[0][1] == pytest.approx(np.log(3.0))
    assert seen[-1][1] == fit.facts["objective"]


def test_too_many_weights_and_data_that_are_not_finite() -> None:
    wide = Planted(n=20, d=21).build(Axes(3, 4), Streams(0))
    assert "at most 20 weights, not 21" in str(BestSubset().supports(wide, Shape(1)))
    x = torch.tensor([[1.0], [torch.inf]])
    bad = best(Problem(x, torch.eye(2), x, torch.eye(2), "accuracy", "cross_entropy"), 1)
    assert bad.status is Status.DIVERGED
    assert bad.model.nnz == 0
