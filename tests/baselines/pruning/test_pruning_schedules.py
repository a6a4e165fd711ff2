"""Magnitude pruning at once, gradually and in cycles."""

from __future__ import annotations

import itertools

import pytest
import torch

from mlpiht_cli.baselines.dense import Dense
from mlpiht_cli.baselines.pruning.cyclical import Cyclical
from mlpiht_cli.baselines.pruning.gmp import GMP, cubic
from mlpiht_cli.baselines.pruning.magnitude import Magnitude
from mlpiht_cli.baselines.pruning.network import SparseNetwork
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted


@pytest.fixture
def problem() -> Problem:
    return Planted(n=200, d=8, k=1).build(Axes(6, 10), Streams(0))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """All masks in a row, after each change."""
    noted: list[torch.Tensor] = []
    keep = SparseNetwork.keep

    def watched(self: SparseNetwork, masks: list[torch.Tensor]) -> None:
        keep(self, masks)
        noted.append(torch.cat([mask.flatten() for mask in self.masks]))

    monkeypatch.setattr(SparseNetwork, "keep", watched)
    return noted


def test_the_cubic_is_that_of_zhu_and_gupta() -> None:
    total, budget, n = 1000, 100, 10
    for i in range(n + 1):
        sparsity = 0.9 + (0.0 - 0.9) * (1.0 - i / n) ** 3
        assert cubic(i / n, total, budget) == pytest.approx(total * (1.0 - sparsity), abs=0.51)
    assert cubic(0.0, total, budget) == total
    assert cubic(1.0, total, budget) == budget


def test_gmp_prunes_along_the_cubic_and_nothing_returns(problem: Problem, kept: list[torch.Tensor]) -> None:
    fit = GMP(epochs=20, prunes=5, batch=50).fit(problem, Shape(6), 9, Streams(0))
    assert [int(mask.sum()) for mask in kept] == [cubic(i / 5, 54, 9) for i in range(1, 6)]
    assert not any(bool((new & ~old).any()) for old, new in itertools.pairwise(kept))
    assert fit.model.nnz == 9
    assert fit.facts["pruned"] == 0
    assert fit.passes == 20


def test_pruned_weights_return_in_the_next_cycle(problem: Problem, kept: list[torch.Tensor]) -> None:
    method = Cyclical(count="fused", epochs=40, cycles=2, prunes=4, batch=50, lr=0.02)
    fit = method.fit(problem, Shape(6), 9, Streams(0))
    counts = [int(mask[:48].sum()) for mask in kept]
    falling = [cubic(i / 4, 48, 9) for i in range(1, 5)]
    assert counts == [48, *falling, 48, *falling]
    ends = kept[4], kept[9]
    assert bool((ends[1] & ~ends[0]).any()), "a weight that the first cycle pruned is in the network"
    assert fit.model.nnz == 9
    assert fit.passes == 40


def test_one_shot_pruning_keeps_the_largest_weights_of_the_dense_network(problem: Problem) -> None:
    method = Magnitude(epochs=10, fine_tuning=0.0, schedule="constant")
    fit = method.fit(problem, Shape(6), 9, Streams(0))
    dense = Dense(epochs=10).fit(problem, Shape(6), 9, Streams(0))
    before = torch.cat([layer.dense().flatten() for layer in dense.model.layers])
    after = torch.cat([layer.dense().flatten() for layer in fit.model.layers])
    largest = before.abs().argsort(descending=True)[:9].sort().values
    assert after.nonzero().flatten().tolist() == largest.tolist()
    assert torch.equal(after[largest], before[largest])
    assert fit.facts["pruned"] == 54 - 9


def test_fine_tuning_helps_and_costs_passes_of_the_same_budget(problem: Problem) -> None:
    loss = {}
    for share in (0.0, 0.5):
        fit = Magnitude(epochs=200, fine_tuning=share, batch=50, lr=0.01).fit(problem, Shape(6), 9, Streams(0))
        loss[share] = float((fit.model.forward(problem.x) - problem.y).square().mean())
        assert fit.passes == 200
    assert loss[0.5] < 0.8 * loss[0.0]
