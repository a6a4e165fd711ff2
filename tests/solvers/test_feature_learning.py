"""Feature learning against automatic gradients, its invariances, and recovery at the protocol's sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import Scores, evaluate, neuron_directions
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers import feature_learning
from mlpiht_cli.solvers.feature_learning import MAX_BIAS, FeatureLearning, gradient_step, read_out
from mlpiht_cli.tasks.index_model import IndexModel

M = 64


def build(s: int, seed: int = 0, **settings: Any) -> Problem:
    return IndexModel(**settings).build(Axes(M, s), Streams(seed))


def run(problem: Problem, s: int, seed: int = 0, **settings: Any) -> tuple[Fit, Scores]:
    (fit,) = FeatureLearning(**settings).fit_path(problem, Shape(M), [s], Streams(seed))
    scores = evaluate(fit.model, problem)
    assert scores is not None
    return fit, scores


def median(name: str, s: int, seeds: int, task: dict[str, Any], **settings: Any) -> float:
    return float(np.median([run(build(s, i, **task), s, i, **settings)[1].more[name] for i in range(seeds)]))


def arrays(n: int, d: int, m: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.RandomState(n)
    x, y, w = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=(m, d))
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(w / np.linalg.norm(w, axis=1, keepdims=True))


@pytest.mark.parametrize("degree", [2, 3])
def test_a_step_goes_to_autograds_gradient(degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_learning, "_ROWS", 11)
    x, y, w = arrays(40, 6, 5)
    free = w.clone().requires_grad_()
    z = x @ free.T
    gains = (y[:, None] * (z.relu() if degree == 2 else z**3 / 3 - z)).mean(0)
    gains.sum().backward()
    assert free.grad is not None
    found, correlation = gradient_step(x, y, w, degree)
    torch.testing.assert_close(found, free.grad / free.grad.norm(dim=1, keepdim=True))
    assert correlation == pytest.approx(float(gains.detach().mean()))


@pytest.mark.parametrize("degree", [2, 3])
def test_unpruned_features_turn_with_a_rotation_of_inputs_and_neurons(degree: int) -> None:
    x, y, w = arrays(200, 6, 5)
    rotation = torch.linalg.qr(torch.from_numpy(np.random.RandomState(1).normal(size=(6, 6)))).Q
    turned = w @ rotation
    for _ in range(5):
        w, correlation = gradient_step(x, y, w, degree)
        turned, same = gradient_step(x @ rotation, y, turned, degree)
        assert same == pytest.approx(correlation)
    torch.testing.assert_close(turned, w @ rotation)


def test_steps_of_a_neuron_without_gradient_stay_finite() -> None:
    x, y, w = arrays(10, 3, 2)
    found, _ = gradient_step(x, torch.zeros_like(y), w, 2)
    assert torch.equal(found, torch.zeros_like(w))


def test_the_read_out_is_made_of_the_features_and_a_constant() -> None:
    x, y, w = arrays(300, 4, 3)
    neurons, output, bias = read_out(x, y, w, 50, Streams(0))
    assert (neurons.shape, output.shape, bias.shape) == ((51, 4), (51,), (51,))
    assert {(j, sign) for j in range(3) for sign in (1, -1)} == {
        (j, sign) for row in neurons[:-1] for j in range(3) for sign in (1, -1) if torch.equal(row, sign * w[j])
    }, "each neuron is used, with both signs"
    assert all(any(torch.equal(row.abs(), one.abs()) for one in w) for row in neurons[:-1])
    assert (neurons[-1].abs().max(), bias[-1]) == (0.0, 1.0)
    assert float(bias[:-1].abs().max()) <= MAX_BIAS
    assert float(bias[:-1].max()) > 2.0
    assert float(bias[:-1].min()) < -2.0


def test_the_read_out_fits_a_target_of_the_features() -> None:
    x, _, w = arrays(2000, 4, 3)
    y = (x @ w[0] + 0.7).relu() - 2 * (x @ w[1]).abs() + 5.0
    neurons, output, bias = read_out(x, y, w, 128, Streams(0))
    assert float(((x @ neurons.T + bias).relu() @ output - y).square().mean()) < 1e-3 * float(y.var())


ARMS = ["unpruned", "pruned", "oracle", "random", "gradient_magnitude"]


@pytest.mark.parametrize("arm", ARMS)
def test_the_first_layer_has_the_arms_coordinates_alone(arm: str) -> None:
    problem = build(3, n=400, d=40)
    fit, _ = run(problem, 3, arm=arm, keep=4)
    count = {"unpruned": 40, "oracle": 3}.get(arm, 12)
    used = fit.model.layers[0].dense().any(0).nonzero().flatten()
    assert fit.facts == {"kept": count}
    assert len(used) == count
    assert fit.model.nnz == 128 * count + fit.model.nnz_by_layer[1]
    assert problem.directions is not None
    if arm == "oracle":
        assert used.tolist() == problem.directions.col.tolist()


def test_no_arm_but_the_oracle_sees_the_truth() -> None:
    problem = build(3, n=100, d=20)
    for arm in ARMS:
        if arm != "oracle":
            blind = replace(problem, directions=None)
            (a,), (b,) = (FeatureLearning(arm=arm).fit_path(p, Shape(M), [3], Streams(0)) for p in (problem, blind))
            assert a.model.layers[0].equals(b.model.layers[0])
    assert "planted directions" in str(
        FeatureLearning(arm="oracle").supports(replace(problem, directions=None), Shape(1))
    )


def test_a_shift_of_the_target_shifts_the_predictions() -> None:
    problem = build(3, n=300, d=20)
    far = replace(problem, y=problem.y + 50.0)
    (a,), (b,) = (FeatureLearning(dtype="float64").fit_path(p, Shape(8), [3], Streams(0)) for p in (problem, far))
    x = problem.x.double()
    torch.testing.assert_close(b.model.forward(x), a.model.forward(x) + 50.0, rtol=1e-4, atol=1e-3)


def test_a_constant_target_gets_a_constant_answer() -> None:
    problem = build(3, n=50, d=20)
    flat = replace(problem, y=torch.full_like(problem.y, 3.0))
    fit, _ = run(flat, 3)
    assert fit.status is Status.OK
    torch.testing.assert_close(fit.model.forward(problem.x_test), torch.full_like(problem.y_test, 3.0))


def test_other_problems_are_refused_with_a_reason() -> None:
    problem = build(3, n=50, d=20)
    assert "set depth to 1" in str(FeatureLearning().supports(problem, Shape(4, 2)))
    assert "one output" in str(FeatureLearning().supports(replace(problem, y=problem.y.repeat(1, 2)), Shape(4)))
    one = replace(problem, x=problem.x[:1], y=problem.y[:1])
    assert "2 samples" in str(FeatureLearning().supports(one, Shape(4)))


def test_pruning_learns_from_few_samples_what_needs_many_without() -> None:
    """The protocol's sizes: d = 256, s = 4."""
    few, many = {"n": 512, "d": 256}, {"n": 2048, "d": 256}
    assert median("mse_ratio", 4, 7, few, arm="pruned") < 0.1
    assert median("mse_ratio", 4, 3, many, arm="unpruned") > 0.2
    assert median("mse_ratio", 4, 3, {"n": 16384, "d": 256}, arm="unpruned") < 0.1
    assert median("mse_ratio", 4, 3, {"n": 8192, "d": 256}, arm="unpruned", steps=1) > 0.5


def test_the_cubic_link_is_learned_by_its_own_part() -> None:
    task = {"n": 8192, "d": 128, "degree": 3}
    assert median("alignment", 2, 3, task, arm="pruned", rule="odd", degree=3) > 0.9
    assert median("alignment", 2, 3, task, arm="pruned", rule="even", degree=2) < 0.7


def test_of_a_product_the_row_maximum_recovers_the_support_and_the_diagonal_fails() -> None:
    task = {"n": 2048, "d": 256, "link": "product"}
    found = [run(build(8, seed, **task), 8, seed, rule="row_max", keep=4, steps=1)[1] for seed in range(3)]
    assert [scores.more["support_recall"] for scores in found] == [1.0] * 3
    assert median("support_recall", 8, 3, task, rule="even", keep=4) < 0.5


def test_many_steps_drive_features_of_a_product_to_its_axes() -> None:
    """On ``z1 z2`` neurons drift to ``+-v_1`` and ``+-v_2``, whose ridge functions add up to no product."""
    problem = build(4, n=16384, d=16, link="product")
    (one, after_one), (ten, after_ten) = (run(problem, 4, arm="oracle", steps=steps) for steps in (1, 20))
    assert problem.directions is not None
    v = problem.directions.dense().float()
    at_axes = [(neuron_directions(fit.model).float() @ v.T).abs().amax(1).median() for fit in (one, ten)]
    assert at_axes[0] < 0.97 < 0.99 < at_axes[1]
    assert after_one.more["mse_ratio"] < 0.1
    assert after_ten.more["mse_ratio"] > 3 * after_one.more["mse_ratio"]
