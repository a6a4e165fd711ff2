"""Soft thresholds against their definition, penalised networks against their stationarity conditions, and budgets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_problems import some

from mlpiht_cli.baselines.pruning.network import SparseNetwork
from mlpiht_cli.baselines.pruning.prox import Prox, Proximal, unit_of
from mlpiht_cli.baselines.pruning.relaxed import flat, split
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.linalg.threshold import soft_threshold
from mlpiht_cli.rng import Streams


def fitted(problem: Problem, budget: int, depth: int = 1, **settings: Any) -> Fit:
    method = Prox.model_validate({"batch": 40, "epochs": 60, "lr": 0.01, **settings})
    return method.fit(problem, Shape(5, depth), budget, Streams(0))


def driven(budget: int, steps: int, depth: int = 1, **settings: Any) -> tuple[SparseNetwork, Proximal]:
    """A network of 5 neurons a layer whose proximal steps have not begun; float64, full batch."""
    method = Prox.model_validate({"lr": 0.01, "schedule": "constant", **settings})
    problem = some()
    network = SparseNetwork(method, problem, Shape(5, depth), Streams(1))
    network.begin(steps)
    return network, Proximal(method, network, budget, steps, unit_of(problem))


@pytest.mark.parametrize(("value", "threshold"), [(1.3, 0.4), (-2.0, 0.5), (0.3, 0.31), (-0.2, 0.2), (0.7, 0.0)])
def test_the_soft_threshold_minimises_the_distance_plus_the_penalty(value: float, threshold: float) -> None:
    grid = np.linspace(-3, 3, 60_001)
    best = grid[np.argmin(0.5 * (grid - value) ** 2 + threshold * np.abs(grid))]
    found = soft_threshold(torch.tensor([value], dtype=torch.float64), torch.tensor(threshold, dtype=torch.float64))
    assert float(found) == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("count", ["layers", "fused"])
def test_steps_of_one_penalty_end_where_its_conditions_hold(count: str, depth: int, momentum: float) -> None:
    """The penalty is the sum of magnitudes; of fused weights it is that of products with the output weight."""
    settings = {"count": count, "momentum": momentum, "least": 0.05, "most": 0.05, "threshold": "penalty"}
    network, proximal = driven(1, 6000, depth, **settings)
    assert len(list(network.relax(proximal, 6000))) == 6000, "more than one weight is left"
    weights = [one.requires_grad_() for one in split(proximal.values.clone(), network.weights)]
    hidden = some().x
    for weight in weights[:-1]:
        hidden = (hidden @ weight.T).relu()
    (hidden @ weights[-1].T - some().y).square().mean().backward()
    prices = [torch.full_like(weight, proximal.penalty) for weight in weights]
    if count == "fused":
        prices[-2] = prices[-2] * weights[-1].detach().abs().T
        prices[-1] = proximal.penalty * weights[-2].detach().abs().sum(dim=1)[None]
    zeros = 0
    for weight, price in zip(weights, prices, strict=True):
        assert weight.grad is not None
        alive = weight != 0
        torch.testing.assert_close(weight.grad[alive], -(price * weight.sign())[alive], rtol=2e-3, atol=1e-6)
        assert bool((weight.grad.abs() <= price + 1e-6)[~alive].all())
        zeros += int((~alive).sum())
    assert 10 < zeros < sum(weight.numel() for weight in weights)


def test_the_penalty_rises_geometrically_until_few_weights_are_left() -> None:
    network, proximal = driven(9, 400, threshold="penalty", least=0.01, most=20.0)
    seen, left = [], []
    for _ in network.relax(proximal, 400):
        seen.append(proximal.penalty)
        left.append(int(torch.count_nonzero(proximal.values)))
    assert proximal.taken == len(left) < 400
    assert left[-1] <= 9 < left[-2]
    slopes, _ = SparseNetwork(Prox(), some(), Shape(5), Streams(1)).gradients(some())
    assert seen[0] == pytest.approx(0.01 * float(flat(slopes).abs().max()))
    np.testing.assert_allclose(np.diff(np.log(seen)), np.log(2000.0) / 399)


@pytest.mark.parametrize("count", ["layers", "fused"])
def test_a_step_takes_the_first_magnitude_that_is_too_small_from_all_larger_ones(count: str) -> None:
    network, proximal = driven(6, 1, count=count, momentum=0.0)
    before = proximal.values.clone()

    def magnitudes(values: torch.Tensor) -> torch.Tensor:
        hidden, output = split(values, network.weights)
        return (hidden.abs() * output.abs().T).flatten() if count == "fused" else values.abs()

    proximal.step(torch.zeros_like(before), 0.0, 0.1)
    first = magnitudes(before).sort(descending=True).values[6]
    torch.testing.assert_close(magnitudes(proximal.values), (magnitudes(before) - first).clamp(min=0.0))
    assert int(torch.count_nonzero(magnitudes(proximal.values))) == 6
    alive = proximal.values != 0
    assert torch.equal(proximal.values[alive].sign(), before[alive].sign())


@pytest.mark.parametrize("count", ["layers", "fused"])
def test_no_step_leaves_more_weights_than_the_schedule(count: str) -> None:
    """The cubic falls to the budget at half of the steps; with descent 0 the budget holds from the first one on."""
    for descent in (0.5, 0.0):
        network, proximal = driven(7, 100, count=count, descent=descent)
        total = network.total
        for i, _ in enumerate(network.relax(proximal, 100), start=1):
            left = max(0.0, 1.0 - i / 50) ** 3 if descent else 0.0
            kept = int(torch.count_nonzero(proximal.values[:total]))
            assert kept == min(total, 7 + round((total - 7) * left)) or 0 < kept < 7
        assert i == 100


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("threshold", ["penalty", "budget"])
@pytest.mark.parametrize(
    ("count", "k", "loss"), [("layers", 1, "squared"), ("layers", 3, "cross_entropy"), ("fused", 1, "squared")]
)
def test_the_budget_is_used_up(count: str, k: int, loss: Loss, threshold: str, depth: int, dtype: str) -> None:
    fit = fitted(some(k, loss), 12, depth, count=count, threshold=threshold, dtype=dtype)
    assert (fit.status, fit.model.nnz, fit.passes) == (Status.OK, 12, 60)
    assert fit.facts["pruned"] == max(0, int(fit.facts["left"]) - 12)


def test_a_penalty_that_stays_small_leaves_the_rest_to_the_prune() -> None:
    fit = fitted(some(), 12, threshold="penalty", least=1e-6, most=1e-6)
    assert (fit.facts["left"], fit.facts["pruned"], fit.model.nnz) == (45, 33, 12)


def test_too_few_weights_are_filled_up_and_trained() -> None:
    fit = fitted(some(), 12, threshold="penalty", least=30.0, most=30.0, pace=30.0)
    assert int(fit.facts["left"]) < 12 == fit.model.nnz
    assert fit.facts["pruned"] == 0


def test_step_sizes_are_in_units_of_the_targets() -> None:
    problem = some()
    assert unit_of(problem) == pytest.approx(float(np.sqrt(np.mean(problem.y.numpy() ** 2))))
    assert unit_of(some(3, "cross_entropy")) == 1.0
    silent = Problem(problem.x, 0.0 * problem.y, problem.x, problem.y, "psnr")
    assert unit_of(silent) == 1.0


def test_too_large_steps_are_a_divergence() -> None:
    fit = fitted(some(), 12, lr=1e30, schedule="constant")
    assert fit.status is Status.DIVERGED
    assert "finite" in fit.reason
