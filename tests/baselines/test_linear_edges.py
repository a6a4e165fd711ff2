"""What sparse linear methods do with sizes and data that their papers leave out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.baselines.linear.support import Data, Recovery, least_squares
from mlpiht_cli.core.fit import Status
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.plan.registry import METHODS
from tests.baselines.linear_data import noisy, problem_of, run, sensing, solved

RIVALS = [name for name, kind in METHODS.items() if issubclass(kind, Recovery)]


@pytest.fixture(params=RIVALS)
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]()


def test_the_rivals_are_these() -> None:
    assert sorted(RIVALS) == ["cosamp", "fista", "htp", "niht", "omp", "subspace_pursuit"]


@pytest.mark.parametrize("values", ["ones", "normal"])
@pytest.mark.parametrize("seed", range(3))
def test_an_easy_vector_is_recovered_with_exactly_s_weights(method: Method, seed: int, values: str) -> None:
    problem = sensing(200, 400, 8, seed, values=values)
    fit = run(method, problem, 8)
    scores = evaluate(fit.model, problem)
    assert scores is not None
    assert scores.exact
    assert scores.value is not None
    assert scores.value < 1e-6
    assert (scores.support_f1, fit.model.nnz) == (1.0, 8)
    assert fit.iterations == len(fit.history)
    assert fit.settled is not None


def test_a_budget_of_all_inputs_gives_least_squares(method: Method) -> None:
    a, y = noisy(60, 8)
    best = solved(a, y, np.arange(8))
    for s in (8, 20):
        fit = run(method.model_copy(update={"dtype": "float64"}), problem_of(a, y), s)
        np.testing.assert_allclose(fit.model.layers[0].dense()[0].numpy(), best, rtol=1e-6)


def test_a_budget_above_the_samples_fits_them(method: Method) -> None:
    """Many vectors fit; one of at most s nonzeros is found, and no matrix is singular on the way."""
    a, y = noisy(10, 40)
    fit = run(method.model_copy(update={"dtype": "float64"}), problem_of(a, y), 20)
    assert fit.status is Status.OK
    assert fit.model.nnz <= 20
    left = y - fit.model.forward(torch.from_numpy(a)).numpy()[:, 0]
    assert np.linalg.norm(left) < (0.5 if method.name == "cosamp" else 0.05) * np.linalg.norm(y)


def test_targets_of_zero_have_no_weights(method: Method) -> None:
    problem = sensing(20, 10, 3)
    zero = Problem(problem.x, 0.0 * problem.y, problem.x, 0.0 * problem.y, "r2")
    fit = run(method, zero, 3)
    assert (fit.status, fit.model.nnz) == (Status.OK, 0)
    assert fit.iterations <= 2
    none = Problem(0.0 * problem.x, problem.y, problem.x, problem.y, "r2")
    fit = run(method, none, 3)
    assert (fit.status, fit.model.nnz) == (Status.OK, 0)


def test_columns_of_zeros_and_copies_of_columns_do_no_harm(method: Method) -> None:
    """The target is one column of three; a copy, the negative and a sum of columns are there, too."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 12))
    a[:, 3], a[:, 4], a[:, 5], a[:, 6] = 0.0, a[:, 0], -a[:, 1], a[:, 0] + a[:, 1]
    y = a[:, [0, 1, 2]] @ [3.0, 2.0, 1.0]
    for s in (4, 8, 12):
        fit = run(method.model_copy(update={"dtype": "float64"}), problem_of(a, y), s)
        w = fit.model.layers[0].dense()[0].numpy()
        assert fit.status is Status.OK
        assert (np.count_nonzero(w) <= s, w[3]) == (True, 0.0)
        assert np.abs(w).max() < 10.0
        if s == 12:
            np.testing.assert_allclose(a @ w, y, atol=1e-4 * np.abs(y).max())


def test_omp_takes_no_column_that_adds_nothing() -> None:
    """Of 12 columns in 3 dimensions it takes 3; of an exact sum of 3 among many, no fourth."""
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 12))
    y = rng.normal(size=30)
    double = METHODS["omp"].model_validate({"dtype": "float64"})
    fit = run(double, problem_of(flat, y), 9)
    w = fit.model.layers[0].dense()[0].numpy()
    assert (fit.model.nnz, fit.iterations) == (3, 3)
    np.testing.assert_allclose(flat @ w, flat @ np.linalg.lstsq(flat, y)[0], atol=1e-10)
    a, _ = noisy(50, 20)
    fit = run(double, problem_of(a, a[:, [1, 5, 7]] @ [1.0, -2.0, 3.0]), 9)
    assert (fit.model.nnz, fit.iterations) == (3, 3)


def test_huge_data_end_in_divergence_with_a_reason(method: Method) -> None:
    problem = sensing(20, 10, 3)
    huge = Problem(problem.x * 1e30, problem.y * 1e30, problem.x, problem.y, "r2")
    fit = run(method, huge, 3)
    assert fit.status is Status.DIVERGED
    assert "too large" in fit.reason
    tiny = Problem(problem.x * 1e-15, problem.y * 1e-15, problem.x * 1e-15, problem.y * 1e-15, "r2")
    fit = run(method, tiny, 3)
    assert fit.status is Status.OK
    assert problem.truth is not None
    torch.testing.assert_close(fit.model.layers[0].dense(), problem.truth[0].dense(), rtol=0, atol=1e-5)


def test_scaled_targets_give_scaled_weights(method: Method) -> None:
    """A power of two scales all numbers exactly."""
    problem = sensing(60, 100, 12, noise=0.5)
    scaled = Problem(problem.x, 8.0 * problem.y, problem.x, 8.0 * problem.y, "r2")
    plain, large = (run(method, one, 12).model.layers[0].dense() for one in (problem, scaled))
    torch.testing.assert_close(8.0 * plain, large, rtol=1e-6, atol=0)


def test_permuted_columns_give_permuted_weights(method: Method) -> None:
    a, y = noisy(40, 30, 5)
    order = np.random.default_rng(1).permutation(30)
    double = method.model_copy(update={"dtype": "float64"})
    plain, moved = (run(double, problem_of(one, y), 5).model.layers[0].dense()[0] for one in (a, a[:, order]))
    torch.testing.assert_close(plain[torch.from_numpy(order)], moved, rtol=1e-8, atol=1e-10)


def test_unsupported_problems_come_with_a_reason(method: Method) -> None:
    x = torch.ones(4, 3)
    assert method.supports(Problem(x, torch.ones(4, 2), x, torch.ones(4, 2), "psnr"), Shape(1)) == (
        f"{method.name} needs one output, the problem has 2"
    )


@pytest.mark.parametrize("near", [1.0, 1e-4, 1e-9, 0.0])
def test_least_squares_are_those_of_numpy(near: float) -> None:
    """From independent columns to two that are the same, for which the shortest solution counts; and wide ones."""
    rng = np.random.default_rng(2)
    a, y = rng.normal(size=(40, 6)), rng.normal(size=40)
    a[:, 5] = a[:, 4] + near * a[:, 5]
    rank = 1e-12
    found = least_squares(torch.from_numpy(a), torch.from_numpy(y), rank)
    expected = np.linalg.lstsq(a, y, rcond=rank)[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5 if near == 1e-9 else 1e-10)
    found = least_squares(torch.from_numpy(a[:4]), torch.from_numpy(y[:4]), rank)
    np.testing.assert_allclose(found.numpy(), np.linalg.lstsq(a[:4], y[:4], rcond=rank)[0], rtol=1e-6, atol=1e-9)


def test_steps_of_data_have_their_definition() -> None:
    a, y = noisy(20, 8)
    data = Data.of(problem_of(a, y))
    g = data.correlations(data.y)
    np.testing.assert_allclose(g.numpy(), a.T @ y)
    on = torch.tensor([1, 4])
    expected = np.sum((a.T @ y)[[1, 4]] ** 2) / np.sum((a[:, [1, 4]] @ (a.T @ y)[[1, 4]]) ** 2)
    assert data.steepest(g, on) == pytest.approx(expected)
    assert data.steepest(0.0 * g, on) == 0.0
    assert data.scale() == pytest.approx(np.mean((a**2).sum(0)))
