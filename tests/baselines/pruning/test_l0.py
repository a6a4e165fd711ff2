"""Hard concrete gates against integrals and automatic gradients, the constraint, and what the prune leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from small_problems import some

from mlpiht_cli.baselines.pruning.l0 import L0, Constraint, GatedWeights, hard_concrete, opening, settled_gates
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.rng import Streams

EVENLY = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
each_gate = pytest.mark.parametrize("log_alpha", [-4.0, -1.0, 0.0, 0.7, 3.0])


def small(k: int = 1, loss: Loss = "squared") -> Problem:
    return some(k, loss, torch.float32)


def fitted(problem: Problem, budget: int, depth: int = 1, **settings: Any) -> Fit:
    method = L0.model_validate({"batch": 40, "epochs": 60, "lr": 0.02, **settings})
    return method.fit(problem, Shape(5, depth), budget, Streams(0))


@each_gate
def test_the_expected_number_of_open_gates_is_that_of_drawn_gates(log_alpha: float) -> None:
    """The gate is open if log alpha + logit(u) is above 2/3 logit(1/12), where the stretched logistic is 0."""
    gates = hard_concrete(torch.full_like(EVENLY, log_alpha), EVENLY).values
    found = float(opening(torch.tensor(log_alpha, dtype=torch.float64)))
    assert float((gates > 0).double().mean()) == pytest.approx(found, abs=1e-5)
    odds = math.exp(log_alpha) * 11.0 ** (2.0 / 3.0)
    assert found == pytest.approx(odds / (1.0 + odds))


@each_gate
def test_gates_are_between_0_and_1_with_mass_at_both_ends(log_alpha: float) -> None:
    gates = hard_concrete(torch.full_like(EVENLY, log_alpha), EVENLY).values
    assert float(gates.min()) == 0.0
    assert float(gates.max()) == 1.0
    shut, wide = (float((gates == end).double().mean()) for end in (0.0, 1.0))
    assert shut == pytest.approx(1.0 - float(opening(torch.tensor(log_alpha))), abs=1e-5)
    assert wide == pytest.approx(1.0 - float(opening(torch.tensor(-log_alpha))), abs=1e-5), "by symmetry"
    assert 0.0 < shut + wide < 1.0


def test_gates_settle_at_exactly_0_and_1_far_from_even_odds() -> None:
    edge = math.log(11.0)  # sigmoid(edge) is 11/12, which is stretched to 1
    found = settled_gates(torch.tensor([-9.0, -edge - 1e-3, -edge + 1e-3, 0.0, edge + 1e-3, 9.0]))
    assert found[[0, 1, 4, 5]].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert 0.0 < float(found[2]) < 1e-3
    assert float(found[3]) == pytest.approx(0.5)


def made(share: float = 0.5, ascent: float = 0.0, penalty: float = 3.0, rate: float = 0.3) -> GatedWeights:
    rng = np.random.RandomState(1)
    values = torch.from_numpy(rng.normal(size=30))
    constraint = Constraint(share, ascent, torch.tensor(2.0, dtype=torch.float64))
    return GatedWeights(L0(penalty=penalty, keep_rate=rate), values, 25, constraint, Streams(0).relaxation())


def test_gradients_are_those_of_automatic_differentiation() -> None:
    """The loss is a quadratic of the products; the noise is drawn again from the same stream."""
    gated = made()
    target = torch.linspace(-1, 1, 30, dtype=torch.float64)
    slope = 2.0 * (gated.weights() - target)
    values, log_alpha = gated.values.clone().requires_grad_(), gated.log_alpha.clone().requires_grad_()
    noise = torch.from_numpy(Streams(0).relaxation().random(25))
    sharp = torch.sigmoid((log_alpha + noise.log() - (1 - noise).log()) / (2 / 3))
    gates = torch.clamp(1.2 * sharp - 0.1, 0, 1)
    products = torch.cat([gates, torch.ones(5, dtype=torch.float64)]) * values
    price = torch.sigmoid(log_alpha - 2 / 3 * math.log(0.1 / 1.1)).mean()
    ((products - target).square().sum() + 3.0 * 2.0 * price).backward()
    for found, expected in zip(gated.gradients(slope), (values.grad, log_alpha.grad), strict=True):
        assert expected is not None
        torch.testing.assert_close(found, expected)
    assert 0 < int((gates == 0).sum()) < 25


def test_the_multiplier_rises_with_the_excess_and_starts_again_where_the_constraint_holds() -> None:
    gated = made(share=0.2, ascent=0.7, penalty=0.0)
    excess = float(gated.open().mean()) - 0.2
    assert excess > 0
    gated.weights()
    gated.step(torch.zeros(30, dtype=torch.float64), 0.0, 0.01)
    assert gated.penalty == pytest.approx(0.7 * excess)
    gated.log_alpha.fill_(-9.0)
    gated.step(torch.zeros(30, dtype=torch.float64), 0.0, 0.01)
    assert gated.penalty == 0.0
    alone = made(share=0.2, ascent=0.0, penalty=3.0)
    alone.step(torch.zeros(30, dtype=torch.float64), 0.0, 0.01)
    assert alone.penalty == 3.0


def test_the_constraint_holds_at_the_end_and_without_it_gates_stay_open() -> None:
    """40 hidden weights, 10 of which may be open in expectation."""
    held = fitted(small(), 10, count="fused", epochs=300, ascent=40.0, fine_tuning=0.1)
    assert float(held.facts["expected"]) < 12.0
    free = fitted(small(), 10, count="fused", epochs=300, ascent=0.0, fine_tuning=0.1)
    assert float(free.facts["expected"]) > 20.0
    assert free.facts["pruned"] == int(free.facts["open"]) - 10 > 0
    priced = fitted(small(), 10, count="fused", epochs=300, ascent=0.0, penalty=1.0, fine_tuning=0.1)
    assert float(priced.facts["expected"]) < float(free.facts["expected"])
    assert priced.facts["multiplier"] == 1.0


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("fine_tuning", [0.0, 0.5])
@pytest.mark.parametrize(
    ("count", "k", "loss"), [("layers", 1, "squared"), ("layers", 3, "cross_entropy"), ("fused", 1, "squared")]
)
def test_as_many_weights_are_left_as_the_budget_allows(
    count: str, k: int, loss: Loss, fine_tuning: float, depth: int
) -> None:
    for ascent in (0.5, 100.0):
        fit = fitted(small(k, loss), 12, depth, count=count, ascent=ascent, fine_tuning=fine_tuning)
        assert (fit.status, fit.model.nnz) == (Status.OK, 12)
        assert fit.facts["pruned"] == max(0, int(fit.facts["open"]) - 12)
        assert fit.passes == 60


def test_a_price_that_shuts_too_many_gates_leaves_some_to_fill_up() -> None:
    fit = fitted(small(), 20, count="fused", epochs=300, penalty=30.0, ascent=0.0, fine_tuning=0.2)
    assert int(fit.facts["open"]) < 20
    assert (fit.facts["pruned"], fit.model.nnz) == (0, 20)


def test_too_large_steps_are_a_divergence() -> None:
    fit = fitted(small(), 12, lr=1e30, schedule="constant")
    assert fit.status is Status.DIVERGED
    assert "finite" in fit.reason
