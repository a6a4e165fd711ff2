"""Two hidden layers and one output: one layer written as two, the budget, and the floor."""

from __future__ import annotations

import pytest
import torch

from mlpiht_cli.core.fit import Diverged, Events, Fit, Reached, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.solvers.realloc_deep.embed import embedded, one_layer_limits
from mlpiht_cli.solvers.realloc_deep.layers import Best, TwoLayers
from mlpiht_cli.tasks.planted import Planted


def planted(m: int, s: int, seed: int = 0, n: int = 12_000, d: int = 20) -> Problem:
    return Planted(n=n, d=d).build(Axes(m, s, 2), Streams(seed))


def fit(method: IHT | IHTRealloc, data: Problem, m: int, s: int) -> Fit:
    return method.fit(data, Shape(m, 2), s, Streams(0))


def decibel(found: Fit, data: Problem) -> float:
    scores = evaluate(found.model, data)
    assert scores is not None
    assert scores.psnr is not None
    return scores.psnr


def of_weights(weights: torch.Tensor) -> SparseMLP:
    return SparseMLP((SparseMatrix.from_dense(weights),), torch.ones(len(weights)))


def test_one_layer_written_as_two_is_the_same_function_for_one_weight_a_neuron() -> None:
    weights = torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, 3.0]])
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    model = embedded(of_weights(weights), 5)
    wanted = (x @ weights.T).relu().sum(1)
    torch.testing.assert_close(model.forward(x)[:, 0], wanted)
    assert model.nnz_by_layer == [4, 2]
    assert [(layer.rows, layer.cols) for layer in model.layers] == [(5, 3), (5, 5)]


@pytest.mark.parametrize(("m", "budget"), [(3, 100), (50, 20), (50, 21), (1, 2), (7, 3)])
def test_one_layer_within_its_limits_is_within_the_budget_of_two(m: int, budget: int) -> None:
    neurons, weights = one_layer_limits(m, budget)
    assert neurons <= m
    assert neurons + weights <= budget
    # What a planted network without mixed signs can use: half of the budget in each layer.
    assert neurons >= min(m, budget // 2)
    assert weights >= budget // 2


def test_a_network_without_deep_neurons_is_found_as_one_layer() -> None:
    """The second layer has a sum of two neurons, a negative neuron, which is 0, and one that overlaps the first."""
    x = Streams(0).planted_inputs(12_000, 20)
    first = torch.zeros(3, 20)
    first[0, [1, 5]] = torch.tensor([1.0, -0.7])
    first[1, [1, 5, 9]] = torch.tensor([0.9, -0.2, -0.5])
    first[2, 7] = -0.9
    hidden = (x @ first.T).relu()
    second = torch.tensor([[1.0, 0.5, 0.0], [0.0, -2.0, -1.0], [0.0, 0.3, 0.6]])
    y = (hidden @ second.T).relu().sum(1, keepdim=True)
    data = Problem(x, y, x, y, "psnr", peak=float(y.max()))
    before, after = fit(IHT(), data, 6, 12), fit(IHTRealloc(), data, 6, 12)
    assert decibel(before, data) < 60, "too easy a case to show anything"
    assert decibel(after, data) > 120
    assert after.model.nnz_by_layer == [6, 3]


@pytest.mark.parametrize(("m", "s", "n"), [(5, 20, 3000), (4, 9, 300), (8, 31, 60), (3, 2, 60)])
def test_never_worse_than_layer_by_layer_and_within_the_budget(m: int, s: int, n: int) -> None:
    for seed in range(2):
        data = planted(5, 24, seed, n)
        before, after = fit(IHT(), data, m, s), fit(IHTRealloc(rounds=2), data, m, s)
        assert decibel(after, data) >= decibel(before, data) - 1e-3
        assert after.model.nnz <= s
        assert all((layer.values != 0).all() for layer in after.model.layers)
        assert [(layer.rows, layer.cols) for layer in after.model.layers] == [(m, 20), (m, m)]


def test_equal_seeds_give_equal_fits() -> None:
    data = planted(4, 16, n=2000)
    one, two = (fit(IHTRealloc(rounds=3), data, 4, 16) for _ in range(2))
    assert all(a.equals(b) for a, b in zip(one.model.layers, two.model.layers, strict=True))
    assert (one.history, one.moves, one.facts) == (two.history, two.moves, two.facts)


class Wild:
    """A solver that leaves the finite numbers at its second step."""

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        yield Step(1.0)
        yield Step(float("nan"))
        yield Reached(SparseMLP.silent([problem.d, m], problem.x))


def test_an_attempt_that_diverges_leaves_the_others() -> None:
    data = planted(5, 16, n=400)
    events = list(TwoLayers(Wild(), IHT(), 0).iterate(data, 5, 16, Streams(0)))
    assert isinstance(events[-1], Reached)
    assert all(event.finite for event in events[:-1] if isinstance(event, Step))
    with pytest.raises(Diverged, match="every attempt"):
        list(TwoLayers(Wild(), Wild(), 0).iterate(data, 5, 16, Streams(0)))


def test_the_best_network_by_training_loss_is_the_answer() -> None:
    x = torch.eye(3)
    best = Best(Problem(x, torch.ones(3, 1), x, torch.ones(3, 1), "psnr"))
    good, bad = of_weights(torch.tensor([[1.0, 1.0, 0.9]])), of_weights(torch.tensor([[1.0, 0.0, 0.9]]))
    for model in (bad, good, bad):
        best.offer(Reached(model))
    assert best.answer.model is good
    assert not best.is_exact
    best.offer(Reached(of_weights(torch.ones(1, 3))))
    assert best.is_exact


@pytest.mark.slow
@pytest.mark.parametrize(("m", "s", "seed"), [(5, 20, 0), (10, 50, 3), (20, 50, 4)])
def test_planted_networks_with_deep_neurons_are_recovered_where_iht_is_not(m: int, s: int, seed: int) -> None:
    data = planted(m, s, seed, 20_000, 50)
    assert data.truth is not None
    first, second = (layer.dense() for layer in data.truth)
    live = second * (first != 0).any(1)
    assert ((live > 0).any(1) & (live < 0).any(1)).any(), "no deep neuron"
    before, after = fit(IHT(), data, m, s), fit(IHTRealloc(), data, m, s)
    assert decibel(before, data) < 60, "too easy a case to show anything"
    assert decibel(after, data) > 120
    assert after.model.nnz <= s
    assert all(len(layer.live_rows()) <= m for layer in after.model.layers)
