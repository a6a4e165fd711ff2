"""The group lasso of random gates against its optimality conditions and a solver of few lines; the refit; refusals."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.baselines.pruning.group_lasso import Convex, GroupLasso, columns, debiased, path
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

N, D, GATES = 90, 5, 6


def some() -> Problem:
    rng = np.random.RandomState(7)
    x = torch.from_numpy(rng.normal(size=(N, D)))
    y = (x[:, [0]] - x[:, [1]]).relu() - 0.5 * x[:, [2]].relu() + 0.1 * torch.from_numpy(rng.normal(size=(N, 1)))
    return Problem(x, y, x, y, "psnr", peak=1.0)


def drawn(count: int = GATES, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(Streams(seed).gates(D).rows(0, count))


def convex() -> Convex:
    problem = some()
    return Convex(columns(problem.x, drawn()), problem.y[:, 0].numpy(), D)


def fitted(budget: int = 8, m: int = GATES, problem: Problem | None = None, **settings: Any) -> Fit:
    return GroupLasso.model_validate(settings).fit(problem or some(), Shape(m), budget, Streams(0))


def test_columns_are_the_inputs_of_the_open_samples() -> None:
    x, gates, found = some().x.numpy(), drawn().numpy(), columns(some().x, drawn())
    assert found.flags.f_contiguous
    for i, gate in enumerate(gates):
        for j in range(N):
            expected = x[j] if x[j] @ gate > 0 else np.zeros(D)
            np.testing.assert_array_equal(found[j, i * D : (i + 1) * D], expected)


def largest(problem: Convex) -> float:
    return max(float(np.linalg.norm(part)) for part in np.split(problem.columns.T @ problem.targets / N, GATES))


@pytest.mark.parametrize("share", [0.6, 0.2, 0.01])
def test_solutions_fulfil_the_optimality_conditions(share: float) -> None:
    """The gradient of an active gate is -penalty v / |v|; of another gate it is at most the penalty."""
    problem = convex()
    penalty = share * largest(problem)
    (found,) = path(problem, [penalty], 1e-9)
    gradient = problem.columns.T @ (problem.columns @ found.weights - problem.targets) / N
    active = 0
    for v, slope in zip(np.split(found.weights, GATES), np.split(gradient, GATES), strict=True):
        if v.any():
            active += 1
            np.testing.assert_allclose(slope, -penalty * v / np.linalg.norm(v), atol=1e-8 * penalty, rtol=1e-6)
        assert np.linalg.norm(slope) <= penalty * (1 + 1e-8)
    assert active > 0
    assert active < GATES or share < 0.6
    assert np.array_equal(problem.norms(found.weights) > 0, [v.any() for v in np.split(found.weights, GATES)])


def test_the_largest_penalty_is_the_least_without_weights() -> None:
    problem = convex()
    above, below = path(problem, [1.0001 * largest(problem), 0.999 * largest(problem)], 1e-9)
    assert not above.weights.any()
    assert below.weights.any()


def test_solutions_of_a_path_are_those_of_proximal_gradient_descent() -> None:
    """Accelerated block soft thresholds, written out; the path begins each penalty where the last one ended."""
    problem = convex()
    a, y = problem.columns, problem.targets
    step = N / np.linalg.norm(a, 2) ** 2
    for found in path(problem, [share * largest(problem) for share in (0.5, 0.1, 0.02)], 1e-8):
        v = previous = np.zeros(a.shape[1])
        for i in range(20_000):
            ahead = v + i / (i + 3) * (v - previous)
            blocks = (ahead - step * a.T @ (a @ ahead - y) / N).reshape(GATES, D)
            norms = np.linalg.norm(blocks, axis=1, keepdims=True)
            previous, v = v, (np.maximum(0, 1 - step * found.penalty / norms) * blocks).ravel()
        np.testing.assert_allclose(found.weights, v, atol=1e-5)


def test_debiased_weights_are_least_squares_on_the_largest() -> None:
    problem = convex()
    (solution,) = path(problem, [0.1 * largest(problem)], 1e-6)
    found = debiased(problem, solution.weights, 7)
    kept = np.sort(np.argsort(-np.abs(solution.weights))[:7])
    np.testing.assert_array_equal(np.flatnonzero(found), kept)
    part = problem.columns[:, kept]
    np.testing.assert_allclose(found[kept], np.linalg.solve(part.T @ part, part.T @ problem.targets))
    assert not debiased(problem, 0.0 * found, 7).any()


def test_the_penalty_with_the_least_training_loss_is_the_answer() -> None:
    problem, fit = convex(), fitted(penalties=4, least=0.02, tolerance=1e-4)
    penalties = largest(problem) * 0.02 ** (np.arange(1, 5) / 4)
    solutions = list(path(problem, [float(one) for one in penalties], 1e-4))
    losses = [problem.loss(debiased(problem, one.weights, 8)) for one in solutions]
    best = int(np.argmin(losses))
    assert fit.facts["penalty"] == pytest.approx(penalties[best])
    assert fit.facts["pruned"] == max(0, np.count_nonzero(solutions[best].weights) - 8)
    assert fit.facts["live_gates"] == np.count_nonzero(problem.norms(solutions[best].weights))
    np.testing.assert_allclose(fit.history, [problem.loss(one.weights) for one in solutions])
    residual = fit.model.forward(some().x) - some().y
    assert float(residual.square().mean()) == pytest.approx(min(losses))
    assert len(set(losses)) == 4
    assert fit.passes >= 4


def test_the_network_has_the_gates_and_as_many_weights_as_the_budget() -> None:
    for budget in (1, 8, 20, 100):
        fit = fitted(budget)
        assert (fit.status, fit.model.nnz) == (Status.OK, min(budget, GATES * D))
    fit = fitted(12, m=40, gates=4)
    assert GroupLasso(gates=4).weights(D, 1, Shape(40)) == 20
    assert GroupLasso(gates=4).weights(D, 1, Shape(3)) == 15
    live = fit.model.layers[0].live_rows()
    assert (fit.model.layers[0].rows, int(live.max()) < 4, fit.model.nnz) == (40, True, 12)
    assert fit.model.gates is not None
    assert torch.equal(fit.model.gates.dense_rows(live), drawn(4)[live])


def test_weights_that_were_planted_on_the_random_gates_come_out() -> None:
    rng = np.random.RandomState(2)
    x = torch.from_numpy(rng.normal(size=(400, D)))
    truth = np.zeros((GATES, D))
    truth[1, [0, 3]], truth[4, [1, 2]] = [2.0, -1.5], [1.0, 3.0]
    y = torch.from_numpy(columns(x, drawn()) @ truth.ravel())[:, None]
    fit = fitted(4, problem=Problem(x, y, x, y, "psnr", peak=1.0), least=1e-3)
    np.testing.assert_allclose(fit.model.layers[0].dense().numpy(), truth, atol=1e-9)


def test_targets_of_zero_have_no_weights() -> None:
    x, y = some().x, 0.0 * some().y
    fit = fitted(problem=Problem(x, y, x, y, "psnr", peak=1.0))
    assert (fit.status, fit.model.nnz) == (Status.OK, 0)


def test_what_takes_too_much_memory_is_refused() -> None:
    method = GroupLasso(memory=8 * N * D * 5 / 2**30)
    assert method.supports(some(), Shape(5)) is None
    refusal = str(method.supports(some(), Shape(6)))
    assert "6 gates" in refusal
    assert "lower gates, or raise memory" in refusal
    assert "one hidden layer" in str(GroupLasso().supports(some(), Shape(5, 2)))


def test_without_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one, *more: None if one == "skglm" else there(one, *more))
    assert GroupLasso().supports(some(), Shape(5)) == "needs skglm: pip install 'mlpiht[yardsticks]'"


def test_data_that_are_not_finite_are_a_divergence() -> None:
    x = some().x.clone()
    x[3, 1] = torch.inf
    fit = fitted(problem=Problem(x, some().y, x, some().y, "psnr"))
    assert (fit.status, fit.reason) == (Status.DIVERGED, "the data are not finite")
