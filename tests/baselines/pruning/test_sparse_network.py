"""Training under a mask that changes: the same as plain torch, step by step."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from mlpiht_cli.baselines.networks import predicted
from mlpiht_cli.baselines.pruning.gmp import GMP
from mlpiht_cli.baselines.pruning.magnitude import Magnitude
from mlpiht_cli.baselines.pruning.network import SparseNetwork, best
from mlpiht_cli.baselines.pruning.rigl import RigL
from mlpiht_cli.core.fit import Status
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted


@pytest.fixture
def problem() -> Problem:
    return Planted(n=120, d=7, k=1).build(Axes(6, 10), Streams(0))


def test_best_keeps_the_largest_of_all_layers_and_breaks_ties_by_position() -> None:
    scores = [torch.tensor([[1.0, -3.0], [2.0, 2.0]]), torch.tensor([[2.0, 0.0]])]
    assert [mask.tolist() for mask in best(scores, 2)] == [[[False, False], [True, True]], [[False, False]]]
    within = [torch.tensor([[True, True], [False, False]]), torch.tensor([[False, True]])]
    assert [mask.tolist() for mask in best(scores, 2, within)] == [[[True, False], [False, False]], [[False, True]]]
    assert sum(int(mask.sum()) for mask in best(scores, 99, within)) == 3


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("backend", ["compiled", "torch"])
def test_training_under_changing_masks_is_adam_of_torch(
    problem: Problem, backend: str, schedule: Literal["constant", "cosine"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, backend)
    method = GMP(batch=50, epochs=8, lr=0.01, schedule=schedule)  # three batches an epoch, the last one smaller
    network = SparseNetwork(method, problem, Shape(4), Streams(3))
    plain = [weight.clone().requires_grad_() for weight in network.weights]
    masks = [mask.clone() for mask in network.masks]
    adam = torch.optim.Adam(plain, lr=0.01)
    order, step, losses = Streams(3).batch_order(), 0, []

    def torch_steps(count: int) -> None:
        nonlocal step, rows
        for _ in range(count):
            if step % 3 == 0:
                rows = order.draw(problem.n)
            batch = rows[step % 3 * 50 : (step % 3 + 1) * 50]
            rate = 0.01 if schedule == "constant" else 0.005 * (1 + math.cos(math.pi * step / 24))
            adam.param_groups[0]["lr"] = rate
            adam.zero_grad()
            masked = [weight * mask for weight, mask in zip(plain, masks, strict=True)]
            loss = LOSSES[problem.loss](predicted(masked, problem.x[batch]), problem.y[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(float(loss.detach()))
            adam.step()
            step += 1

    rows = torch.empty(0)
    found = [event.loss for event in network.train(4)]
    torch_steps(4)
    # Neurons 0 and 1 lose most inputs; then one of them gets them back, with moments that begin at 0.
    for dropped in ((0, 1), (1,)):
        hidden = torch.ones_like(masks[0])
        hidden[list(dropped), 1:] = False
        hidden[:, 2] = False
        network.keep([hidden, masks[1]])
        for weight, mask in zip(plain, [hidden, masks[1]], strict=True):
            for values in (weight.data, adam.state[weight]["exp_avg"], adam.state[weight]["exp_avg_sq"]):
                values *= mask
        masks[0] = hidden
        found += [event.loss for event in network.train(5)]
        torch_steps(5)
    assert found == pytest.approx(losses, rel=2e-4)
    for weight, other in zip(network.weights, plain, strict=True):
        torch.testing.assert_close(weight, other.detach(), rtol=2e-3, atol=2e-5)
    assert network.steps == 24


@pytest.mark.parametrize("kind", [Magnitude, GMP, RigL])
def test_fused_weights_are_counted_as_iht_counts_them(problem: Problem, kind: type[Method]) -> None:
    method = kind.model_validate({"count": "fused", "batch": 20, "epochs": 20, "lr": 0.01})
    assert method.weights(7, 1, Shape(4)) == 28
    fit = method.fit(problem, Shape(4), 10, Streams(0))
    assert fit.model.readout is not None
    assert len(fit.model.layers) == 1
    assert fit.model.nnz == 10


def test_fused_weights_need_one_output() -> None:
    problem = Planted(n=50, d=7, k=3).build(Axes(6, 10), Streams(0))
    assert Magnitude().supports(problem, Shape(4)) is None
    reason = Magnitude(count="fused").supports(problem, Shape(4))
    assert reason == "count: fused needs one output, the problem has 3; set count to layers"


def test_magnitudes_of_fused_weights_do_not_depend_on_how_a_neuron_is_scaled(problem: Problem) -> None:
    network = SparseNetwork(Magnitude(count="fused"), problem, Shape(4), Streams(0))
    before = network.magnitudes()
    network.weights[0][1] *= 8.0
    network.weights[1][:, 1] /= -8.0
    for a, b in zip(before, network.magnitudes(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_neuron_without_inputs_rests(problem: Problem) -> None:
    network = SparseNetwork(GMP(epochs=20, lr=0.01), problem, Shape(4), Streams(3))
    list(network.train(5))
    hidden = network.masks[0].clone()
    hidden[1] = False
    network.keep([hidden])
    before = network.weights[1].clone()
    list(network.train(5))
    assert (network.weights[1] != before).tolist() == [[True, False, True, True]]


def test_gradients_reach_weights_outside_the_mask(problem: Problem) -> None:
    network = SparseNetwork(RigL(batch=30), problem, Shape(4), Streams(0))
    network.keep_best(network.magnitudes(), 12)
    batch = network.batch()
    slopes, step = network.gradients(batch)
    leaves = [weight.clone().requires_grad_() for weight in network.weights]
    loss = LOSSES[problem.loss](predicted(leaves, batch.x), batch.y)
    for found, true in zip(slopes, torch.autograd.grad(loss, leaves), strict=True):
        torch.testing.assert_close(found, true)
    assert bool((slopes[0][~network.masks[0]] != 0).any())
    assert step.loss == pytest.approx(loss.item())
    assert step.share == 30 / 120


def test_a_step_size_that_is_too_large_is_a_divergence(problem: Problem) -> None:
    fit = GMP(lr=1e30, epochs=20, schedule="constant").fit(problem, Shape(4), 9, Streams(0))
    assert fit.status is Status.DIVERGED
    assert "finite" in fit.reason
