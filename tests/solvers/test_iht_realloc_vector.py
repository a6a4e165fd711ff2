"""IHT with reallocation for several outputs: exact where IHT is not, within the budget, never worse than its start."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.solvers.iht_vector import IHTVector
from mlpiht_cli.tasks.planted import Planted

START = IHTVector(step="safeguarded")


def problem(m: int, s: int, seed: int = 0, n: int = 4000, d: int = 20) -> Problem:
    return Planted(n=n, d=d, k=4).build(Axes(m, s), Streams(seed))


def of_function(x: torch.Tensor, y: torch.Tensor) -> Problem:
    return Problem(x, y, x, y, "psnr", peak=float(y.abs().max()))


def fit(method: IHTVector | IHTRealloc, data: Problem, m: int, s: int) -> Fit:
    (found,) = method.fit_path(data, Shape(m), [s], Streams(0))
    return found


def decibel(found: Fit, data: Problem) -> float:
    scores = evaluate(found.model, data)
    assert scores is not None
    assert scores.psnr is not None
    return scores.psnr


def loss(found: Fit, data: Problem) -> float:
    scores = evaluate(found.model, data)
    assert scores is not None
    return scores.final_loss


def maps(hidden: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """One row ``(u, |w| a)`` with a unit u for each direction, the outputs of parallel neurons added up."""
    live = hidden.any(1) & output.any(1)
    size = hidden[live].norm(dim=1, keepdim=True)
    unit, strength = hidden[live] / size, output[live] * size
    same = (unit @ unit.T > 1 - 1e-6).double()
    first = torch.unique(same.argmax(1))
    return torch.cat([unit[first], (same @ strength)[first]], 1)


def neurons(found: Fit) -> torch.Tensor:
    hidden, output = (layer.dense().double() for layer in found.model.layers)
    return maps(hidden, output.T)


@pytest.mark.parametrize(("m", "s", "seed"), [(4, 20, 0), (6, 40, 1), (10, 60, 2), (15, 30, 0), (20, 120, 3)])
def test_planted_networks_are_recovered_where_iht_is_not(m: int, s: int, seed: int) -> None:
    data = problem(m, s, seed)
    before, after = fit(START, data, m, s), fit(IHTRealloc(), data, m, s)
    assert decibel(before, data) < 60, "too easy a case to show anything"
    assert decibel(after, data) > 140
    assert after.model.nnz <= s
    assert len(after.model.layers[0].live_rows()) <= m
    assert after.facts["accepted"] > 0
    assert data.truth is not None
    hidden, output = (layer.dense().double() for layer in data.truth)
    true, found = maps(hidden, output.T), neurons(after)
    assert len(true) == len(found)
    assert float(torch.cdist(true, found).min(1).values.max()) < 1e-4


def test_neither_units_nor_order_of_outputs_and_inputs_matter() -> None:
    data = problem(6, 40, 1)
    order = torch.tensor([2, 0, 3, 1])
    scale = torch.tensor([1e3, 1.0, 1e-3, 7.0])
    plain = neurons(fit(IHTRealloc(), data, 6, 40))
    turned = of_function(data.x, data.y[:, order])
    found = neurons(fit(IHTRealloc(), turned, 6, 40))
    back = torch.cat([found[:, : data.d], found[:, data.d :][:, order.argsort()]], 1)
    assert float(torch.cdist(plain, back).min(1).values.max()) < 1e-4
    scaled = of_function(data.x * torch.logspace(-3, 3, data.d), data.y * scale)
    fitted = fit(IHTRealloc(), scaled, 6, 40)
    error = (fitted.model.forward(scaled.x) - scaled.y).square().mean(0) / scaled.y.square().mean(0)
    assert float(error.max()) < 1e-10


@pytest.mark.parametrize("n", [10, 25, 60, 400])
def test_never_worse_than_its_start_and_always_within_the_budget(n: int) -> None:
    improved = 0
    for seed in range(4):
        data = problem(6, 25, seed, n=n, d=30)
        before, after = fit(START, data, 6, 25), fit(IHTRealloc(rounds=3), data, 6, 25)
        assert loss(after, data) <= loss(before, data)
        improved += loss(after, data) < 0.5 * loss(before, data)
        assert after.model.nnz <= 25
        assert len(after.model.layers[0].live_rows()) <= 6
    assert improved or n < 400


@pytest.mark.parametrize(("m", "s"), [(2, 12), (6, 8), (1, 3), (3, 1)])
def test_a_budget_that_is_too_small_is_kept(m: int, s: int) -> None:
    """The search itself finds the planted six neurons with 25 weights, which is more than is allowed."""
    data = problem(6, 40, 1)
    before, after = fit(START, data, m, s), fit(IHTRealloc(), data, m, s)
    assert after.model.nnz <= s
    assert len(after.model.layers[0].live_rows()) <= m
    assert loss(after, data) <= loss(before, data)


def test_a_larger_budget_than_needed_leaves_no_rounding_errors() -> None:
    data = problem(4, 20)
    assert data.truth is not None
    hidden, output = (layer.dense() for layer in data.truth)
    live = hidden.any(1) & output.T.any(1)
    needed = int((hidden[live] != 0).sum() + (output.T[live] != 0).sum())
    found = fit(IHTRealloc(), data, 8, 60)
    assert decibel(found, data) > 140
    assert found.model.nnz <= needed


def test_runs_are_equal_and_no_rounds_are_iht() -> None:
    data = problem(6, 40, 1)
    one, two, none = (fit(IHTRealloc(rounds=r), data, 6, 40) for r in (30, 30, 0))
    for a, b in zip(one.model.layers, two.model.layers, strict=True):
        assert a.equals(b)
    assert one.moves == two.moves
    before = fit(START, data, 6, 40)
    assert none.history == before.history
    assert all(a.equals(b) for a, b in zip(none.model.layers, before.model.layers, strict=True))


def test_the_history_goes_on_from_iht_and_moves_tell_what_rounds_did() -> None:
    data = problem(10, 60, 0)
    found, steps = fit(IHTRealloc(), data, 10, 60), fit(START, data, 10, 60).history
    assert found.history[: len(steps)] == steps
    tail = found.history[len(steps) :]
    assert tail
    assert list(tail) == sorted(tail, reverse=True)
    assert {move.name for move in found.moves} <= {"proposed", "merged", "accepted"}
    rounds = {move.iteration for move in found.moves if move.name == "proposed"}
    assert rounds == set(range(len(steps) + 1, len(found.history) + 1)), "each round proposes"
    assert found.facts["proposed"] == sum(move.count for move in found.moves if move.name == "proposed")


def test_noise_is_fitted_to_its_floor_and_no_further() -> None:
    noise, s, n = 0.1, 40, 8000
    data = Planted(n=n, d=20, k=4, noise=noise).build(Axes(6, s), Streams(1))
    before, after = loss(fit(START, data, 6, s), data), fit(IHTRealloc(), data, 6, s)
    assert before > 5 * noise**2, "too easy a case to show anything"
    assert loss(after, data) == pytest.approx(noise**2 * (1 - s / (4 * n)), rel=6 * (2 / (4 * n)) ** 0.5)
    error = data.peak**2 / 10 ** (decibel(after, data) / 10)
    assert error < 4 * noise**2 * s / (4 * n)


def test_targets_without_a_network_end_in_patience() -> None:
    data = problem(4, 10, n=500)
    noise = torch.randn(data.y.shape, generator=torch.Generator().manual_seed(0))
    found = fit(IHTRealloc(patience=1), of_function(data.x, noise), 4, 10)
    assert found.status is Status.OK
    assert len(found.history) < 25
    assert found.model.nnz <= 10


@pytest.mark.parametrize("live", [0, 1, 3])
def test_outputs_and_inputs_that_are_always_zero_are_no_trouble(live: int) -> None:
    data = problem(4, 20)
    y, x = data.y.clone(), data.x.clone()
    y[:, live:] = 0.0
    x[:, -5:] = 0.0
    found = fit(IHTRealloc(), of_function(x, y), 4, 20)
    assert found.status is Status.OK
    silent = found.model.forward(x)[:, live:]
    assert float(silent.abs().max()) <= 1e-3 or not found.facts["accepted"]
    assert all(bool(torch.isfinite(layer.values).all()) for layer in found.model.layers)


def test_inputs_that_are_not_normal_get_no_rounds_but_a_better_fit() -> None:
    data = problem(5, 30)
    assert data.truth is not None
    x = data.x.abs()
    hidden, output = (layer.dense() for layer in data.truth)
    odd = of_function(x, (x @ hidden.T).relu() @ output.T)
    before, after = fit(START, odd, 5, 30), fit(IHTRealloc(), odd, 5, 30)
    assert len(after.history) == len(before.history)
    assert loss(after, odd) <= loss(before, odd)


@pytest.mark.parametrize("seed", range(3))
def test_two_hidden_layers_are_never_worse_than_layerwise_iht(seed: int) -> None:
    data = Planted(n=2000, d=10, k=3).build(Axes(6, 45, 2), Streams(seed))
    (before,) = START.fit_path(data, Shape(6, 2), [45], Streams(0))
    (after,) = IHTRealloc(rounds=3).fit_path(data, Shape(6, 2), [45], Streams(0))
    assert loss(after, data) <= loss(before, data) * (1 + 1e-6)
    assert after.model.nnz <= 45


def test_minibatches_and_float64() -> None:
    data = problem(4, 20)
    assert decibel(fit(IHTRealloc(batch=500, epochs=4), data, 4, 20), data) > 140
    found = fit(IHTRealloc(dtype="float64"), data, 4, 20)
    assert found.model.dtype == torch.float64
    assert decibel(found, data.to(data.x.device, torch.float64)) > 140


def test_what_it_needs_and_counts() -> None:
    data = problem(4, 20)
    assert IHTRealloc().supports(data, Shape(4)) is None
    classes = replace(data, loss="cross_entropy")
    assert IHTRealloc().supports(classes, Shape(4)) == (
        "iht_realloc needs the squared loss, the problem has cross_entropy; use iht_vector"
    )
    assert IHTRealloc().weights(20, 4, Shape(5)) == 5 * (20 + 4)
    assert IHTRealloc().weights(20, 1, Shape(5)) == 5 * 20
