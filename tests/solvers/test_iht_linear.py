"""IHT for linear models against the protocol's step in a few lines of float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_linear import IHTLinear
from mlpiht_cli.tasks.gaussian import GaussianSparse


def sensing(n: int, d: int, s: int, seed: int = 0) -> Problem:
    return GaussianSparse(n=n, d=d).build(Axes(1, s), Streams(seed))


def run(problem: Problem, s: int, **settings: object) -> Fit:
    return next(iter(IHTLinear.model_validate(settings).fit_path(problem, Shape(1), [s], Streams(0))))


@pytest.mark.parametrize("seed", range(5))
def test_an_easy_sparse_vector_is_recovered_exactly(seed: int) -> None:
    problem = sensing(200, 400, 8, seed)
    fit = run(problem, 8)
    scores = evaluate(fit.model, problem)
    assert scores.value < 1e-6
    assert scores.exact
    assert scores.support_f1 == 1.0
    assert fit.model.nnz == 8
    assert fit.settled < 20


def literal(a: np.ndarray, y: np.ndarray, s: int, steps: int, inner: int) -> np.ndarray:
    """Protocol, section 1, the accelerated step with A the data; f is evaluated wherever it is named."""
    w = np.zeros(a.shape[1])

    def f(v: np.ndarray) -> float:
        return float(((a @ v - y) ** 2).sum())

    for _ in range(steps):
        on = np.flatnonzero(w)
        g = a[:, on].T @ (a @ w - y)
        mu = (g @ g) / (((a[:, on] @ g) ** 2).sum() + 1e-8) if len(on) else 1e-14
        z = w - mu * a.T @ (a @ w - y)
        kept = np.argsort(-np.abs(z), kind="stable")[:s]
        w = np.zeros_like(z)
        w[kept] = z[kept]
        start = w
        for _ in range(inner):
            g = np.zeros_like(w)
            g[kept] = a[:, kept].T @ (a @ w - y)
            for _ in range(11):
                if f(w) - f(w - mu * g) >= 0.9 * mu * (g @ g):
                    break
                mu /= 2
            else:
                w = start
                break
            w = w - mu * g
    return w


@pytest.mark.parametrize("inner", [3, 0])
@pytest.mark.parametrize(("n", "d", "s"), [(40, 30, 4), (25, 60, 9), (12, 5, 5), (3, 8, 8)])
def test_iterates_are_those_of_the_protocol(n: int, d: int, s: int, inner: int) -> None:
    rng = np.random.RandomState(n)
    a, y = rng.normal(size=(n, d)), rng.normal(size=(n, 1))
    x, target = torch.from_numpy(a), torch.from_numpy(y)
    problem = Problem(x, target, x, target, "r2")
    losses = []
    for steps in range(1, 7):
        fit = run(problem, s, steps=steps, inner_steps=inner, dtype="float64")
        expected = literal(a, y[:, 0], s, steps, inner)
        np.testing.assert_allclose(fit.model.layers[0].dense().numpy()[0], expected, rtol=1e-7, atol=1e-12)
        losses.append(float(((a @ expected - y[:, 0]) ** 2).mean()))
    assert fit.history == pytest.approx([float((y**2).mean()), *losses[:-1]]), "the loss before each step"


def test_unsupported_problems_come_with_a_reason() -> None:
    x = torch.ones(4, 3)
    assert IHTLinear().supports(Problem(x, torch.ones(4, 2), x, torch.ones(4, 2), "psnr"), Shape(1)) == (
        "iht_linear needs one output, the problem has 2"
    )
    classes = Problem(x, torch.ones(4, 1), x, torch.ones(4, 1), "accuracy", "cross_entropy")
    refusal = "iht_linear needs the squared loss, the problem has cross_entropy"
    assert IHTLinear().supports(classes, Shape(1)) == refusal
    assert IHTLinear().supports(sensing(5, 3, 2), Shape(1)) is None


def test_overflow_is_divergence_with_a_reason() -> None:
    problem = sensing(20, 10, 3)
    huge = Problem(problem.x * 1e30, problem.y * 1e30, problem.x, problem.y, "psnr", peak=1.0)
    fit = run(huge, 3)
    assert fit.status is Status.DIVERGED
    assert "step" in fit.reason
    assert (fit.model.nnz, fit.model.layers[0].cols) == (0, 10)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n", "s"), [(100, 2), (200, 20), (400, 100)])
def test_an_exact_fit_ends_early_with_the_weights_of_all_steps(n: int, s: int, seed: int) -> None:
    """The last case spends twenty steps on a plateau; its weights change in their last bits for ever."""
    given = sensing(n, 1000, s, seed)
    assert given.truth is not None
    x = given.x.double()
    y = x @ given.truth[0].dense().double().T
    fit = run(Problem(x, y, x, y, "r2"), s)
    assert fit.settled is not None
    assert fit.settled < fit.iterations < 60
    assert fit.iterations == len(fit.history)
    every = literal(x.numpy(), y[:, 0].numpy(), s, 100, 3)
    np.testing.assert_allclose(fit.model.layers[0].dense().numpy()[0], every, rtol=0, atol=1e-6)


def test_a_step_that_changes_nothing_is_the_last() -> None:
    """With noise the loss stays above rounding errors, and the end is a repeated vector of weights."""
    draws = np.random.default_rng(1)
    a, w = np.linalg.qr(draws.normal(size=(32, 3)))[0], np.array([[1.0], [2.0], [3.0]])
    x, y = torch.from_numpy(a), torch.from_numpy(a @ w + draws.normal(size=(32, 1)))
    fit = run(Problem(x, y, x, y, "r2"), 3, steps=1000)
    assert fit.iterations < 1000
    assert fit.history[-1] > 0.1
    best = np.linalg.lstsq(a, y.numpy()[:, 0])[0]
    np.testing.assert_allclose(fit.model.layers[0].dense().numpy()[0], best, rtol=1e-5)


def test_a_lost_vector_takes_all_steps() -> None:
    fit = run(sensing(50, 200, 40), 40)
    assert fit.iterations == 100
    assert fit.settled is not None
    assert fit.settled > 50


def test_targets_of_zero_end_at_once() -> None:
    problem = sensing(20, 10, 3)
    none = Problem(problem.x, 0.0 * problem.y, problem.x, 0.0 * problem.y, "r2")
    fit = run(none, 3)
    assert (fit.iterations, fit.model.nnz) == (1, 0)


def test_an_offset_is_free_and_the_best_one() -> None:
    """With an offset, all weights are those of least squares with an intercept; a column of ones gets none."""
    rng = np.random.RandomState(0)
    x = np.column_stack([rng.normal(2.0, 1.0, (60, 3)), np.ones(60)])
    y = x[:, :3] @ [1.0, -2.0, 0.5] + 7.0 + 0.1 * rng.normal(size=60)
    data = [torch.from_numpy(part) for part in (x, y[:, None])]
    found = IHTLinear(offset=True, dtype="float64", steps=500).fit(Problem(*data, *data, "r2"), Shape(1), 4, Streams(0))
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    assert found.model.nnz == 3
    assert found.model.bias is not None
    np.testing.assert_allclose(
        [*found.model.layers[0].dense()[0, :3].tolist(), *found.model.bias.tolist()], best, atol=1e-6
    )
    plain = IHTLinear(dtype="float64").fit(Problem(*data, *data, "r2"), Shape(1), 4, Streams(0))
    assert plain.model.bias is None
