"""The lasso that ``fista`` prunes is scikit-learn's and meets the optimality conditions; then come least squares."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso as Theirs

from mlpiht_cli.baselines.linear.fista import FISTA, Lasso, largest_eigenvalue
from mlpiht_cli.baselines.linear.support import Data
from tests.baselines.linear_data import Floats, largest, noisy, problem_of, run, sensing, solved


def lasso(a: Floats, y: Floats, share: float, tolerance: float = 1e-9) -> tuple[Floats, float, int]:
    """Weights, penalty and steps at a share of the least penalty that leaves no weight."""
    data = Data.of(problem_of(a, y))
    penalty = share * float(np.abs(a.T @ y).max())
    solver = Lasso(data, data.correlations(data.y))
    steps = len(list(solver.steps(penalty, 20_000, tolerance)))
    assert steps < 20_000
    return solver.weights.numpy(), penalty, steps


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
@pytest.mark.parametrize(("n", "d"), [(60, 30), (30, 80)])
def test_a_penalty_ends_at_the_lasso_of_scikit_learn(n: int, d: int, share: float) -> None:
    a, y = noisy(n, d)
    w, penalty, _ = lasso(a, y, share)
    theirs = (
        Theirs(alpha=penalty / n, fit_intercept=False, random_state=0, tol=1e-14, max_iter=1_000_000).fit(a, y).coef_
    )
    np.testing.assert_allclose(w, theirs, rtol=0, atol=1e-7 * np.abs(theirs).max())


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_the_optimality_conditions_hold_to_twice_the_tolerance(tolerance: float) -> None:
    a, y = noisy(30, 80, 1)
    w, penalty, _ = lasso(a, y, 0.05, tolerance)
    slopes = a.T @ (y - a @ w) / penalty
    on = w != 0
    assert 5 < on.sum() < 30
    assert np.abs(slopes[on] - np.sign(w[on])).max() <= 2 * tolerance
    assert np.abs(slopes[~on]).max() <= 1 + 2 * tolerance


def test_a_step_is_that_of_the_paper() -> None:
    """Three steps from zero with the curvature that came out, in NumPy."""
    a, y = noisy(30, 80, 2)
    data, penalty = Data.of(problem_of(a, y)), 0.2 * float(np.abs(a.T @ y).max())
    solver = Lasso(data, data.correlations(data.y))
    solver.curvature = 1.1 * np.linalg.norm(a, 2) ** 2
    list(solver.steps(penalty, 3, 1e-9))
    x, point, t, size = np.zeros(80), np.zeros(80), 1.0, solver.curvature
    for _ in range(3):
        v = point + a.T @ (y - a @ point) / size
        new = np.sign(v) * np.maximum(np.abs(v) - penalty / size, 0)
        after = (1 + math.sqrt(1 + 4 * t**2)) / 2
        x, point, t = new, new + (t - 1) / after * (new - x), after
    np.testing.assert_allclose(solver.weights.numpy(), x, rtol=1e-12, atol=1e-14)


def test_a_curvature_that_is_too_small_grows_until_it_bounds_the_step() -> None:
    a, y = noisy(30, 80, 3)
    data = Data.of(problem_of(a, y))
    top = np.linalg.norm(a, 2) ** 2
    estimate = largest_eigenvalue(data, data.correlations(data.y))
    assert 0.8 * top < estimate <= top * (1 + 1e-12)
    solver = Lasso(data, data.correlations(data.y))
    solver.curvature = top / 1000
    list(solver.steps(0.1 * float(np.abs(a.T @ y).max()), 20_000, 1e-8))
    assert top / 30 < solver.curvature <= 1.5 * top
    expected, _, _ = lasso(a, y, 0.1)
    np.testing.assert_allclose(solver.weights.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("keep", ["best", "first"])
def test_what_is_kept_are_the_largest_weights_of_a_penalty_refitted(keep: str) -> None:
    """Every penalty of the path by scikit-learn, pruned and refitted with NumPy."""
    a, y = noisy(40, 100, 4)
    s, top = 6, float(np.abs(a.T @ y).max())
    method = FISTA.model_validate({"keep": keep, "tolerance": 1e-7, "dtype": "float64", "least": 0.02})
    fit = run(method, problem_of(a, y), s)
    tried = []
    for power in range(1, math.ceil(math.log(0.02) / math.log(0.8)) + 1):
        penalty = max(0.8**power, 0.02) * top / 40
        w = Theirs(alpha=penalty, fit_intercept=False, random_state=0, tol=1e-13, max_iter=1_000_000).fit(a, y).coef_
        kept = np.intersect1d(largest(w, s), np.flatnonzero(w))
        refit = solved(a, y, kept)
        tried.append((float(np.square(y - a @ refit).mean()), penalty, np.count_nonzero(w), refit))
    best = min(tried, key=lambda one: one[0]) if keep == "best" else next(one for one in tried if one[2] >= s)
    assert fit.facts["penalty"] == pytest.approx(best[1], rel=1e-12)
    assert fit.facts["pruned"] == best[2] - s
    np.testing.assert_allclose(fit.model.layers[0].dense()[0].numpy(), best[3], rtol=1e-7, atol=1e-10)
    assert fit.facts["penalties"] == (len(tried) if keep == "best" else tried.index(best) + 1)


def test_an_exact_refit_ends_the_path() -> None:
    problem = sensing(200, 400, 8)
    fit = run(FISTA(), problem, 8)
    assert 1 < fit.facts["penalties"] < 20
    assert fit.model.nnz == 8
    assert problem.truth is not None
    torch.testing.assert_close(fit.model.layers[0].dense(), problem.truth[0].dense(), rtol=0, atol=1e-6)
