"""Sparse logistic regression: the optimum on its support, exchanges, invariances and limits."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_logistic import IHTLogistic

RIDGE = 1e-2


def made(x: NDArray[np.float64], labels: NDArray[np.int64], test: int = 0) -> Problem:
    a, y = torch.from_numpy(x), torch.eye(int(labels.max()) + 1, dtype=torch.float64)[labels]
    n = len(x) - test
    return Problem(a[:n], y[:n], a[n:], y[n:], "accuracy", loss="cross_entropy")


@pytest.fixture
def problem() -> Problem:
    rng = np.random.RandomState(0)
    x = rng.normal(size=(200, 4))
    logits = np.column_stack([2 * x[:, 0], -x[:, 1] + 0.5, x[:, 2] - x[:, 0]])
    return made(x, (logits + rng.gumbel(size=logits.shape)).argmax(1))


def fitted(problem: Problem, s: int, **settings: object) -> Fit:
    return IHTLogistic(ridge=RIDGE, **settings).fit(problem, Shape(1), s, Streams(0))


def objective(weights: NDArray[np.float64], offsets: NDArray[np.float64], problem: Problem) -> float:
    logits = problem.x.numpy() @ weights.T + offsets
    chance = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    penalty = RIDGE / 2 * (np.square(weights).sum() + np.square(offsets).sum())
    return float(-(chance * problem.y.numpy()).sum() / problem.n + penalty)


def parts(fit: Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert fit.model.bias is not None
    return fit.model.layers[0].dense().numpy(), fit.model.bias.numpy()


def test_with_all_weights_it_is_logistic_regression(problem: Problem) -> None:
    found = fitted(problem, 12)
    # scikit-learn does not penalise the intercept, so a column of ones takes its place
    ones = np.column_stack([problem.x.numpy(), np.ones(problem.n)])
    labels = problem.y.argmax(1).numpy()
    other = LogisticRegression(C=1 / (RIDGE * problem.n), fit_intercept=False, tol=1e-10, max_iter=1000)
    other.fit(ones, labels)
    weights, offsets = parts(found)
    np.testing.assert_allclose(np.column_stack([weights, offsets]), other.coef_, atol=1e-4)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_no_other_support_is_better(problem: Problem, s: int) -> None:
    """Every support of ``s`` weights, fitted by plain gradient descent, has at least the same objective."""
    found = fitted(problem, s)
    assert found.model.nnz == s
    least = objective(*parts(found), problem)
    x, y = np.column_stack([problem.x.numpy(), np.ones(problem.n)]), problem.y.numpy()
    for support in combinations(range(12), s):
        mask = np.zeros(12)
        mask[list(support)] = 1
        kept = np.column_stack([mask.reshape(3, 4), np.ones(3)])
        theta = np.zeros((3, 5))
        for _ in range(150):
            odds = np.exp(x @ theta.T)
            slope = (odds / odds.sum(1, keepdims=True) - y).T @ x / len(x) + RIDGE * theta
            theta -= kept * slope
        assert objective(theta[:, :4], theta[:, 4], problem) >= least - 1e-7


def test_the_gradient_on_the_support_is_zero(problem: Problem) -> None:
    weights, offsets = parts(fitted(problem, 5))
    for row, column in np.argwhere(weights != 0):
        for change in (1e-4, -1e-4):
            moved = weights.copy()
            moved[row, column] += change
            assert objective(moved, offsets, problem) > objective(weights, offsets, problem)


def test_order_of_inputs_and_classes_does_not_matter(problem: Problem) -> None:
    inputs, outputs = [2, 0, 3, 1], [1, 2, 0]
    weights, _ = parts(fitted(problem, 4))
    moved = Problem(problem.x[:, inputs], problem.y[:, outputs], problem.x, problem.y, "accuracy", "cross_entropy")
    found, _ = parts(fitted(moved, 4))
    np.testing.assert_allclose(found, weights[outputs][:, inputs], atol=1e-5)


def test_the_loss_ends_at_its_lowest(problem: Problem) -> None:
    found = fitted(problem, 3)
    assert objective(*parts(found), problem) <= min(found.history) + 1e-9
    assert len(fitted(problem, 3, steps=1).history) == 1


def test_thirty_weights_read_digits() -> None:
    """Ten classes of 8 x 8 pixels: one weight in twenty is enough for four of five digits on rows held out."""
    x, labels = load_digits(return_X_y=True)
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)
    data = made(x, labels, test=360)
    model = METHODS["iht_logistic"]().fit(data, Shape(1), 30, Streams(0)).model
    assert model.nnz == 30
    right = model.forward(data.x_test).argmax(1) == data.y_test.argmax(1)
    assert float(right.double().mean()) > 0.8


def test_separable_classes_and_data_that_are_not_finite() -> None:
    x = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    found = IHTLogistic().fit(made(x, np.array([0, 0, 1, 1])), Shape(1), 2, Streams(0))
    assert np.isfinite(parts(found)[0]).all(), "the ridge keeps the weights finite"
    x[0, 0] = 1e200
    broken = IHTLogistic().fit(made(x, np.array([0, 0, 1, 1])), Shape(1), 2, Streams(0))
    assert broken.status is Status.DIVERGED
