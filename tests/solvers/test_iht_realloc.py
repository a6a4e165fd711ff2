"""IHT with reallocation: exact where IHT is not, and never worse than its start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.recovery import merged_rows
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.tasks.planted import Planted


def problem(m: int, s: int, seed: int = 0, n: int = 12_000, d: int = 20) -> Problem:
    return Planted(n=n, d=d).build(Axes(m, s), Streams(seed))


def mixed(m: int, s: int, seed: int = 0, n: int = 12_000, d: int = 20) -> Problem:
    return Planted(n=n, d=d, signs="mixed").build(Axes(m, s), Streams(seed))


def of_function(y: torch.Tensor, x: torch.Tensor) -> Problem:
    return Problem(x, y[:, None], x, y[:, None], "psnr", peak=float(y.abs().max()))


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


def test_an_exchange_that_is_nearly_exact_spares_the_rounds() -> None:
    data = problem(8, 24, 1)
    found = fit(IHTRealloc(), data, 8, 24)
    steps = len(fit(IHT(), data, 8, 24).history)
    assert [move.name for move in found.moves if move.iteration > steps] == ["exchanged", "accepted"]
    assert len(found.history) == steps + 1
    assert decibel(found, data) > 120


def test_dead_inputs_and_fewer_samples_than_inputs_are_no_trouble() -> None:
    data = problem(4, 10, n=25, d=40)
    x = data.x.clone()
    x[:, :10] = 0.0
    dead = Problem(x, data.y, x, data.y, "psnr", peak=data.peak)
    found = fit(IHTRealloc(rounds=2), dead, 4, 10)
    assert found.status is Status.OK
    assert bool(torch.isfinite(found.model.layers[0].values).all())


def test_moves_tell_what_the_rounds_did() -> None:
    data = problem(5, 20)
    found = fit(IHTRealloc(), data, 5, 20)
    steps = len(fit(IHT(), data, 5, 20).history)
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


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_where_rounds_cannot_run_weights_are_exchanged(seed: int) -> None:
    """With four samples an input there are no rounds; each step of the history is an exchange that was kept."""
    data = problem(4, 10, seed, n=110, d=30)
    before, after = fit(IHT(), data, 4, 10), fit(IHTRealloc(), data, 4, 10)
    assert {move.name for move in after.moves} == {"exchanged", "accepted"}
    exchanged = list(after.history[len(before.history) :])
    assert len(exchanged) > 1
    assert exchanged == sorted(exchanged, reverse=True)
    assert decibel(before, data) < 30
    assert decibel(after, data) > 120
    assert after.model.nnz <= 10


def test_inputs_that_are_not_normal_get_rounds_too() -> None:
    """The network is two neurons on inputs of one sign, of more weights than the budget."""
    data = problem(5, 20)
    x = data.x.abs()
    y = (x @ torch.linspace(-1, 1, data.d)).relu()[:, None] + (x @ torch.linspace(1, -0.5, data.d)).relu()[:, None]
    odd = Problem(x, y, x, y, "psnr", peak=float(y.max()))
    before, after = fit(IHT(), odd, 5, 20), fit(IHTRealloc(), odd, 5, 20)
    assert len(after.history) > len(before.history)
    assert decibel(after, odd) > decibel(before, odd)


@pytest.mark.parametrize("seed", range(4))
def test_two_hidden_layers_are_never_worse_than_layerwise_iht(seed: int) -> None:
    data = Planted(n=3000, d=10).build(Axes(6, 30, 2), Streams(seed))
    shape = Shape(6, 2)
    (before,) = IHT().fit_path(data, shape, [30], Streams(0))
    (after,) = IHTRealloc(rounds=3).fit_path(data, shape, [30], Streams(0))
    assert decibel(after, data) >= decibel(before, data) - 1e-3
    assert after.model.nnz <= 30
    assert after.budget == 30


BOTH = IHTRealloc(signs="both")


@pytest.mark.parametrize(("m", "s", "seed"), [(5, 20, 0), (8, 24, 1), (15, 15, 2), (4, 60, 1)])
def test_planted_networks_of_both_output_signs_are_recovered(m: int, s: int, seed: int) -> None:
    data = mixed(m, s, seed)
    assert decibel(fit(IHT(signs="both"), data, m, s), data) < 60, "too easy a case to show anything"
    assert decibel(fit(IHTRealloc(), data, m, s), data) < 60, "positive signs are not enough"
    found = fit(BOTH, data, m, s)
    assert decibel(found, data) > 120
    scores = evaluate(found.model, data)
    assert scores is not None
    assert scores.more["merged_f1"] == 1.0
    assert scores.more["weight_error"] < 1e-4
    assert found.model.nnz <= s
    assert found.model.readout is not None
    assert found.model.readout.shape == (m,)
    assert data.truth is not None
    assert data.truth_readout is not None
    # Neuron by neuron: among those of its sign, each planted one whose direction is its own is there.
    true, weights = data.truth[0].dense().double(), found.model.layers[0].dense().double()
    unit = torch.nn.functional.normalize(true)
    alone = true.any(1) & ((unit @ unit.T).fill_diagonal_(0.0) < 1 - 1e-6).all(1)
    assert int(alone.sum()) >= 4
    for row, sign in zip(true[alone], data.truth_readout[alone], strict=True):
        same = weights[found.model.readout == sign]
        assert float((same - row).norm(dim=1).min()) < 1e-4


def test_any_scalar_network_can_be_represented() -> None:
    """A linear part, a hat, and a concave target; no sum of ReLUs alone is one of them."""
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((8_000, 10))).float()
    targets = {
        (2, 2): 1.5 * x[:, 3],
        (4, 5): -x[:, 0].abs() + 2 * torch.relu(x[:, 1]) - torch.relu(x[:, 4] - 0.5 * x[:, 5]),
        (1, 3): -torch.relu(x[:, 2] + x[:, 7] - 2 * x[:, 9]),
        (4, 4): x[:, 1] - 0.25 * x[:, 2],
        (6, 9): x[:, 0] - 2 * torch.relu(x[:, 6] + x[:, 8]) + torch.relu(x[:, 2] - x[:, 3] + x[:, 1]) - 3 * x[:, 7],
    }
    for (m, s), y in targets.items():
        data = of_function(y, x)
        found = fit(BOTH, data, m, s)
        assert decibel(found, data) > 100, (m, s)
        assert found.model.nnz <= s
        assert decibel(fit(IHTRealloc(rounds=2), data, m, s), data) < 40


def test_turning_the_target_turns_the_signs() -> None:
    data = mixed(6, 18, 4)
    assert data.truth_readout is not None
    turned = of_function(-data.y[:, 0], data.x)
    one, other = fit(BOTH, data, 6, 18), fit(BOTH, turned, 6, 18)
    assert decibel(one, data) > 120
    assert decibel(other, turned) > 120
    torch.testing.assert_close(other.model.forward(data.x), -one.model.forward(data.x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("n", [25, 60, 400])
def test_with_free_signs_never_worse_than_its_start(n: int) -> None:
    for seed in range(2):
        data = mixed(6, 25, seed, n=n, d=30)
        before = fit(IHT(signs="both"), data, 6, 25)
        after = fit(IHTRealloc(rounds=3, signs="both"), data, 6, 25)
        assert decibel(after, data) >= decibel(before, data) - 1e-3
        assert after.model.nnz <= 25
        assert after.model.readout is not None
        assert bool((after.model.readout.abs() == 1).all())
    again = fit(IHTRealloc(rounds=3, signs="both"), data, 6, 25)
    assert torch.equal(again.model.layers[0].dense(), after.model.layers[0].dense())


def test_without_rounds_free_signs_are_those_of_iht() -> None:
    data = mixed(5, 20)
    before, after = fit(IHT(signs="both"), data, 5, 20), fit(IHTRealloc(rounds=0, signs="both"), data, 5, 20)
    assert torch.equal(before.model.forward(data.x), after.model.forward(data.x))
    assert before.model.readout is not None
    assert before.model.readout.tolist() == [1.0, -1.0, 1.0, -1.0, 1.0]


@pytest.mark.parametrize(("m", "seed"), [(4, 2), (5, 2)])
def test_labels_with_noise_are_fitted_to_the_noise_and_no_further(m: int, seed: int) -> None:
    noise, weights = 0.1, 20
    data = Planted(n=12_000, d=20, noise=noise).build(Axes(m, weights), Streams(seed))
    before, after = (evaluate(fit(method, data, m, weights).model, data) for method in (IHT(), IHTRealloc()))
    assert before is not None
    assert after is not None
    floor = noise**2 * (1.0 - weights / 12_000)
    assert before.final_loss > 5 * floor, "too easy a case to show anything"
    assert after.final_loss == pytest.approx(floor, rel=6 * (2 / 12_000) ** 0.5)
    # What is left of the clean labels is the error of that many fitted weights: noise^2 * weights / n.
    assert after.psnr is not None
    error = data.peak**2 / 10 ** (after.psnr / 10)
    assert error < 4 * noise**2 * weights / 12_000


def test_a_budget_that_is_too_large_leaves_no_rounding_errors() -> None:
    """Planted one-sparse neurons of one sign on one input are one neuron: fewer weights than the budget will do."""
    data = problem(100, 10, n=50_000, d=100)
    assert data.truth is not None
    needed = int(np.count_nonzero(merged_rows(data.truth[0])))
    assert needed < 10, "no case to show anything"
    found = fit(IHTRealloc(), data, 100, 10)
    assert decibel(found, data) > 120
    assert found.model.nnz == needed
