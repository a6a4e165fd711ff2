"""SET and RigL: what they drop and grow, and how many weights each layer has."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mlpiht_cli.baselines.pruning.dynamic import cosine_share, erdos_renyi, grown, random_masks
from mlpiht_cli.baselines.pruning.network import SparseNetwork
from mlpiht_cli.baselines.pruning.rigl import RigL
from mlpiht_cli.baselines.pruning.set import SET, evolved, without_smallest
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted

Masks = list[torch.Tensor]


def test_erdos_renyi_shares_are_in_proportion_to_inputs_plus_outputs() -> None:
    assert erdos_renyi([(20, 80), (30, 20)], 150) == [100, 50]


@pytest.mark.parametrize("budget", [1, 2, 7, 31, 60, 64, 99])
def test_erdos_renyi_is_exact_and_no_layer_takes_more_than_it_has(budget: int) -> None:
    shapes = [(10, 6), (1, 4)]
    counts = erdos_renyi(shapes, budget)
    assert sum(counts) == min(budget, 64)
    assert all(count <= a * b for count, (a, b) in zip(counts, shapes, strict=True))


def test_random_masks_have_their_counts() -> None:
    masks = random_masks([(3, 4), (2, 3)], [5, 0], np.random.default_rng(0))
    assert [int(mask.sum()) for mask in masks] == [5, 0]


def test_set_drops_the_smallest_of_either_sign() -> None:
    weight = torch.tensor([[0.1, 0.5, -0.2, -0.9, 2.0, 3.0]])
    mask = torch.tensor([[True, True, True, True, True, False]])
    stays = without_smallest(weight, mask, 0.34)  # one of three positive ones, one of two negative ones
    assert stays.tolist() == [[False, True, False, True, True, False]]


def test_set_grows_as_many_as_it_drops() -> None:
    draws = np.random.default_rng(1)
    weight, mask = torch.randn(8, 9, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 9, dtype=torch.bool)
    mask[:4] = True
    after = evolved(weight, mask, 0.3, draws)
    assert int(after.sum()) == 36
    kept = without_smallest(weight, mask, 0.3)
    assert bool((after & kept).sum() == kept.sum())
    assert not bool((after & mask & ~kept).any()), "what was dropped is not grown while there are others"


def test_rigls_share_falls_along_a_cosine() -> None:
    assert cosine_share(0, 100, 0.3) == pytest.approx(0.3)
    assert cosine_share(50, 100, 0.3) == pytest.approx(0.15)
    assert cosine_share(25, 100, 0.3) == pytest.approx(0.15 * (1 + math.cos(math.pi / 4)))
    assert cosine_share(100, 100, 0.3) == cosine_share(130, 100, 0.3) == 0.0


def test_rigl_grows_the_largest_slopes_among_all_but_what_stays() -> None:
    mask = torch.tensor([True, True, True, False, False, False])
    stays = torch.tensor([True, True, False, False, False, False])
    # The dropped third entry has the largest slope: it is grown again.
    assert grown(mask, stays, torch.tensor([9.0, 9.0, -5.0, 1.0, 4.0, 2.0])).tolist() == [
        True,
        True,
        True,
        *[False] * 3,
    ]
    assert grown(mask, stays, torch.tensor([9.0, 9.0, 0.5, 1.0, -4.0, 2.0])).nonzero().flatten().tolist() == [0, 1, 4]


@pytest.fixture
def problem() -> Problem:
    return Planted(n=200, d=8, k=1).build(Axes(6, 10), Streams(0))


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Masks, Masks]]:
    """Masks of all layers before and after each change of the mask."""
    noted: list[tuple[Masks, Masks]] = []
    keep = SparseNetwork.keep

    def watched(self: SparseNetwork, masks: Masks) -> None:
        before = list(self.masks)
        keep(self, masks)
        noted.append((before, list(self.masks)))

    monkeypatch.setattr(SparseNetwork, "keep", watched)
    return noted


def test_rigl_replaces_the_share_of_each_layer_at_each_interval(
    problem: Problem, changes: list[tuple[Masks, Masks]]
) -> None:
    method = RigL(epochs=40, batch=20, interval=100, alpha=0.5)  # 400 steps; updates at 100, 200 and 300 = the end
    fit = method.fit(problem, Shape(6), 24, Streams(0))
    assert fit.model.nnz <= 24
    start, *updates = changes
    counts = [int(mask.sum()) for mask in start[1]]
    assert sum(counts) == 24
    assert len(updates) == 3
    for i, (before, after) in enumerate(updates, 1):
        for mask, new, count in zip(before, after, counts, strict=True):
            assert int(new.sum()) == count
            assert int((new & ~mask).sum()) <= round(cosine_share(100 * i, 300, 0.5) * count)
    assert all(torch.equal(a, b) for a, b in zip(*updates[-1], strict=True)), "the last share is 0"
    assert any(not torch.equal(a, b) for a, b in zip(*updates[0], strict=True))


def test_set_updates_after_every_epoch_until_the_last_quarter(
    problem: Problem, changes: list[tuple[Masks, Masks]]
) -> None:
    fit = SET(epochs=8, batch=50).fit(problem, Shape(6), 24, Streams(0))
    assert fit.model.nnz == 24
    assert len(changes) == 1 + 6
    assert all(sum(int(mask.sum()) for mask in after) == 24 for _, after in changes)
