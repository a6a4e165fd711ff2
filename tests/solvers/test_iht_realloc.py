"""IHT with reallocation: exact where IHT is not, and never worse than its start."""

from __future__ import annotations

import pytest
import torch

from mlpiht_cli.method import Fit, Shape, Status
from mlpiht_cli.metrics import evaluate
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.task import Axes
from mlpiht_cli.tasks.planted import Planted


def problem(m: int, s: int, seed: int = 0, n: int = 12_000, d: int = 20) -> Problem:
    return Planted(n=n, d=d).build(Axes(m, s), Streams(seed))


def fit(method: IHT | IHTRealloc, data: Problem, m: int, s: int) -> Fit:
    (found,) = method.fit_path(data, Shape(m), [s], Streams(0))
    return found


def decibel(found: Fit, data: Problem) -> float:
    scores = evaluate(found.model, data)
    assert scores is not None
    assert scores.psnr is not None
    return scores.psnr


@pytest.mark.parametrize(("m", "s", "seed"), [(5, 20, 0), (8, 24, 1), (15, 15, 2), (4, 60, 0)])
def test_planted_networks_are_recovered_where_iht_is_not(m: int, s: int, seed: int) -> None:
    data = problem(m, s, seed)
    before, after = fit(IHT(), data, m, s), fit(IHTRealloc(), data, m, s)
    assert decibel(before, data) < 60, "too easy a case to show anything"
    assert decibel(after, data) > 120
    assert after.model.nnz <= s
    assert len(after.model.layers[0].live_rows()) <= m
    assert data.truth is not None
    assert after.facts["accepted"] > 0
    # The same function, neuron by neuron: each planted one that is no multiple of another is there.
    found = after.model.layers[0].dense_rows(after.model.layers[0].live_rows()).double()
    true = data.truth[0].dense_rows(data.truth[0].live_rows()).double()
    distance = torch.cdist(true, found).min(1).values
    assert float(distance.max()) < 1e-4


def test_inputs_of_any_scale_are_recovered() -> None:
    data = problem(5, 20)
    scale = torch.logspace(-3, 3, data.d)
    x = data.x * scale
    scaled = Problem(x, data.y, x, data.y, "psnr", peak=data.peak)
    assert decibel(fit(IHTRealloc(), scaled, 5, 20), scaled) > 120


@pytest.mark.parametrize("n", [60, 400])
def test_never_worse_than_its_start(n: int) -> None:
    for seed in range(3):
        data = problem(6, 25, seed, n=n, d=30)
        before, after = fit(IHT(), data, 6, 25), fit(IHTRealloc(rounds=3), data, 6, 25)
        assert decibel(after, data) >= decibel(before, data) - 1e-3
        assert after.model.nnz <= 25
        assert len(after.model.layers[0].live_rows()) <= 6


def test_no_rounds_are_iht() -> None:
    data = problem(5, 20)
    before, after = fit(IHT(), data, 5, 20), fit(IHTRealloc(rounds=0), data, 5, 20)
    assert torch.equal(before.model.layers[0].dense(), after.model.layers[0].dense())
    assert before.history == after.history


def test_the_history_goes_on_from_iht_and_never_rises_after_it() -> None:
    data = problem(8, 24, 1)
    found = fit(IHTRealloc(rounds=2), data, 8, 24)
    steps = fit(IHT(), data, 8, 24).history
    assert found.history[: len(steps)] == steps
    tail = found.history[len(steps) :]
    assert 1 <= len(tail) <= 2
    assert list(tail) == sorted(tail, reverse=True)
    assert found.iterations == len(found.history)


def test_labels_that_are_no_network_end_in_patience() -> None:
    data = problem(4, 10, n=500)
    noise = torch.randn(data.y.shape, generator=torch.Generator().manual_seed(0))
    noisy = Problem(data.x, noise, data.x, noise, "psnr", peak=1.0)
    found = fit(IHTRealloc(patience=1), noisy, 4, 10)
    assert found.status is Status.OK
    assert len(found.history) < 30


def test_dead_inputs_and_fewer_samples_than_inputs_are_no_trouble() -> None:
    data = problem(4, 10, n=25, d=40)
    x = data.x.clone()
    x[:, :10] = 0.0
    dead = Problem(x, data.y, x, data.y, "psnr", peak=data.peak)
    found = fit(IHTRealloc(rounds=2), dead, 4, 10)
    assert found.status is Status.OK
    assert bool(torch.isfinite(found.model.layers[0].values).all())


def test_moves_tell_what_the_rounds_did() -> None:
    data = problem(8, 24, 1)
    found = fit(IHTRealloc(), data, 8, 24)
    steps = len(fit(IHT(), data, 8, 24).history)
    assert [move.iteration for move in found.moves] == sorted(move.iteration for move in found.moves)
    assert {move.name for move in found.moves} <= {"proposed", "merged", "halved", "accepted"}
    rounds = {move.iteration for move in found.moves if move.name == "proposed"}
    assert rounds == set(range(steps + 1, len(found.history) + 1)), "each round proposes"
    # The loss falls where a network was accepted, and nowhere else.
    accepted = {move.iteration for move in found.moves if move.name == "accepted"}
    falls = {i + 1 for i in range(steps, len(found.history)) if found.history[i] < found.history[i - 1]}
    assert falls - {steps + 1} == accepted - {steps, steps + 1}
    assert found.facts["accepted"] == sum(move.name == "accepted" for move in found.moves)
    assert found.facts["proposed"] == sum(move.count for move in found.moves if move.name == "proposed")


def test_inputs_that_are_not_normal_get_no_rounds_but_a_better_fit() -> None:
    """Moments of such inputs say nothing about neurons, and rounds on hundreds of them take long."""
    data = problem(5, 20)
    x = data.x.abs()
    y = (x @ torch.linspace(-1, 1, data.d)).relu()[:, None] + (x @ torch.linspace(1, -0.5, data.d)).relu()[:, None]
    odd = Problem(x, y, x, y, "psnr", peak=float(y.max()))
    before, after = fit(IHT(), odd, 5, 20), fit(IHTRealloc(), odd, 5, 20)
    assert len(after.history) == len(before.history)
    assert {move.name for move in after.moves} == {"accepted"}
    assert decibel(after, odd) >= decibel(before, odd)


@pytest.mark.parametrize("seed", range(4))
def test_two_hidden_layers_are_never_worse_than_layerwise_iht(seed: int) -> None:
    data = Planted(n=3000, d=10).build(Axes(6, 30, 2), Streams(seed))
    shape = Shape(6, 2)
    (before,) = IHT().fit_path(data, shape, [30], Streams(0))
    (after,) = IHTRealloc(rounds=3).fit_path(data, shape, [30], Streams(0))
    assert decibel(after, data) >= decibel(before, data) - 1e-3
    assert after.model.nnz <= 30
    assert after.budget == 30
