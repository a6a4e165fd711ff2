"""IMP against torch's own pruning utilities, and its exact counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.utils import prune as torch_prune

from mlpiht_cli.baselines.imp import IMP, initial_weights, prune
from mlpiht_cli.method import DTYPES, Shape, Status
from mlpiht_cli.metrics import evaluate
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.task import Axes
from mlpiht_cli.tasks.planted import Planted


def planted(k: int = 1, n: int = 200) -> Problem:
    return Planted(n=n, d=8, k=k).build(Axes(6, 10), Streams(0))


def linear_layers(sizes: list[int], seed: int) -> list[torch.nn.Linear]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return [torch.nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]


def test_initial_weights_are_those_of_linear_layers() -> None:
    ours = initial_weights([7, 5, 3], torch.Generator().manual_seed(11))
    for mine, layer in zip(ours, linear_layers([7, 5, 3], 11), strict=True):
        assert torch.equal(mine, layer.weight)


def reference_path(problem: Problem, m: int, seed: int, epochs: int, budgets: list[int]) -> dict[int, float]:
    """The protocol with torch.nn, torch.nn.utils.prune and a fresh Adam; PSNR right after each prune."""
    layers = linear_layers([problem.d, m, problem.k], seed)
    net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    initial = [layer.weight.detach().clone() for layer in layers]
    scores: dict[int, float] = {}
    for layer in layers:
        torch_prune.identity(layer, "weight")
    while len(scores) < len(budgets):
        adam = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(epochs):
            adam.zero_grad()
            torch.nn.functional.mse_loss(net(problem.x), problem.y).backward()
            adam.step()
        torch_prune.global_unstructured([(layer, "weight") for layer in layers], torch_prune.L1Unstructured, amount=0.1)
        left = int(sum(layer.weight_mask.sum() for layer in layers))
        mse = (net(problem.x) - problem.y).detach().double().square().mean().item()
        for s in budgets:
            if left <= s and s not in scores:
                scores[s] = 20 * np.log10(problem.peak) - 10 * np.log10(mse)
        for layer, start in zip(layers, initial, strict=True):
            layer.weight_orig.data.copy_(start)
    return scores


def test_scores_are_those_of_torchs_own_tools() -> None:
    problem, budgets = planted(), [40, 20, 8]
    expected = reference_path(problem, 6, 3, epochs=20, budgets=budgets)
    for fit in IMP(epochs=20).fit_path(problem, Shape(6), budgets, Streams(3)):
        assert evaluate(fit.model, problem).value == pytest.approx(expected[fit.budget], abs=1e-3)
        assert fit.model.nnz <= fit.budget


def remaining_after(weights: int, rounds: int) -> list[int]:
    counts = [weights]
    for _ in range(rounds):
        counts.append(counts[-1] - max(1, round(0.1 * counts[-1])))
    return counts


def test_counts_follow_the_rounding_and_masks_are_nested() -> None:
    weights = [torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), torch.ones(1, 6) * 0.3]
    masks = [torch.ones_like(w, dtype=torch.bool) for w in weights]
    for left in remaining_after(54, 25)[1:]:
        before, masks = masks, prune(weights, masks, 0.1)
        assert sum(int(mask.sum()) for mask in masks) == left
        assert all(bool((new <= old).all()) for new, old in zip(masks, before, strict=True))
        gone = torch.cat([w[old & ~new].abs() for w, old, new in zip(weights, before, masks, strict=True)])
        kept = torch.cat([w[new].abs() for w, new in zip(weights, masks, strict=True)])
        assert len(kept) == 0 or gone.max() <= kept.min(), "the smallest go, over all layers together"


def test_weights_of_zero_are_pruned_first_but_counted() -> None:
    weights = [torch.tensor([[0.0, 0.0, 1.0, 2.0]])]
    (mask,) = prune(weights, [torch.ones(1, 4, dtype=torch.bool)], 0.1)
    assert mask.tolist() == [[True, False, True, True]]


def test_a_budget_does_not_depend_on_the_others() -> None:
    problem = planted()
    alone = next(iter(IMP(epochs=3).fit_path(problem, Shape(6), [12], Streams(1))))
    together = [f for f in IMP(epochs=3).fit_path(problem, Shape(6), [50, 12, 2], Streams(1)) if f.budget == 12]
    for a, b in zip(alone.model.layers, together[0].model.layers, strict=True):
        assert torch.equal(a.dense(), b.dense())
    assert alone.iterations == together[0].iterations


def test_after_retrain_trains_at_the_mask_it_scores() -> None:
    problem = planted()
    pruned = next(iter(IMP(epochs=30).fit_path(problem, Shape(6), [40], Streams(1))))
    trained = next(iter(IMP(epochs=30, evaluate="after_retrain").fit_path(problem, Shape(6), [40], Streams(1))))
    assert trained.iterations == pruned.iterations + 30
    supports = [[layer.index.tolist() for layer in fit.model.layers] for fit in (pruned, trained)]
    assert supports[0] == supports[1], "the same mask, other weights"
    assert evaluate(trained.model, problem).final_loss != evaluate(pruned.model, problem).final_loss


def test_a_budget_above_the_weights_is_the_first_round() -> None:
    (fit,) = IMP(epochs=2).fit_path(planted(), Shape(6), [1000], Streams(0))
    assert fit.model.nnz == remaining_after(54, 1)[1]


def test_float64_agrees() -> None:
    problem = planted()
    single, double = (next(iter(IMP(dtype=d).fit_path(problem, Shape(6), [20], Streams(2)))) for d in DTYPES)
    assert double.model.layers[0].values.dtype == torch.float64
    assert single.history == pytest.approx(double.history, rel=1e-4)


def test_divergence_ends_the_path_for_all_budgets() -> None:
    fits = list(IMP(lr=1e30).fit_path(planted(), Shape(6), [20, 5], Streams(0)))
    assert [fit.budget for fit in fits] == [20, 5]
    assert all(fit.status is Status.DIVERGED and "training loss became" in fit.reason for fit in fits)
