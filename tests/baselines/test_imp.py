"""IMP against torch's own pruning utilities, and its exact counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune as torch_prune

from mlpiht_cli.baselines.imp import IMP, IMPFused, dropped, fused, prune
from mlpiht_cli.baselines.training import initial_weights
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Permutations, Streams
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


def remaining_after(weights: int, rounds: int, rate: float = 0.1) -> list[int]:
    """The share is that of all weights in floating point; one that removes none becomes one weight from there on."""
    counts, share = [weights], 1 - ((1 - rate) * weights) / weights
    while counts[-1] and len(counts) <= rounds:
        share = share if round(share * counts[-1]) else 1 / counts[-1]
        counts.append(counts[-1] - round(share * counts[-1]))
    return counts


def counts_of_prune(weights: int, rounds: int, rate: float = 0.1) -> list[int]:
    generator = torch.Generator().manual_seed(0)
    values, masks, counts = [torch.randn(weights, generator=generator)], [torch.ones(weights).bool()], [weights]
    while counts[-1] and len(counts) <= rounds:
        masks = prune(values, masks, rate)
        counts.append(int(masks[0].sum()))
    return counts


def test_counts_of_550_weights_are_those_of_the_reference_code() -> None:
    words = "114 103 93 84 76 68 61 55 50 45 41 37 33 30 27 24 22 20 18 16 14 13 12 11 10 9 8 7 6 5"
    ends = [int(word) for word in words.split()]
    found = counts_of_prune(550, 60)
    assert found[found.index(114) :][: len(ends)] == ends


@pytest.mark.parametrize("weights", [550, 54, 55, 60, 1010, 79_400])
def test_halves_round_down(weights: int) -> None:
    """The share is a hair below .1, so that 1.5, 3.5 and 5.5 become 1, 3 and 5; halves to even would be 2, 4 and 6."""
    assert [dropped(left, weights, 0.1) for left in (15, 25, 35, 45, 55)] == [1, 2, 3, 4, 5]


@given(st.integers(2, 3000), st.sampled_from([0.1, 0.05, 0.2, 0.25, 0.5, 0.9]))
def test_counts_follow_the_share_of_all_weights(weights: int, rate: float) -> None:
    counts = counts_of_prune(weights, 300, rate)
    assert counts == remaining_after(weights, 300, rate)
    assert counts[-1] == 0


def test_the_smallest_weights_go_and_masks_are_nested() -> None:
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
    single, double = (
        next(iter(IMP(dtype=d).fit_path(problem, Shape(6), [20], Streams(2)))) for d in ("float32", "float64")
    )
    assert double.model.layers[0].values.dtype == torch.float64
    assert single.history == pytest.approx(double.history, rel=1e-4)


def test_divergence_ends_the_path_for_all_budgets() -> None:
    fits = list(IMP(lr=1e30).fit_path(planted(), Shape(6), [20, 5], Streams(0)))
    assert [fit.budget for fit in fits] == [20, 5]
    assert all(fit.status is Status.DIVERGED and "left the finite numbers" in fit.reason for fit in fits)


def path(method: IMP, budgets: list[int], depth: int = 1, seed: int = 1) -> dict[int, Fit]:
    return {fit.budget: fit for fit in method.fit_path(planted(), Shape(6, depth), budgets, Streams(seed))}


def masks(fit: Fit) -> list[torch.Tensor]:
    return [layer.dense() != 0 for layer in fit.model.layers]


def test_each_budget_is_answered_by_the_first_round_of_the_recursion_that_fits() -> None:
    counts, epochs = remaining_after(54, 54), 2
    fits = path(IMP(epochs=epochs), list(range(1, 54)))
    for s, fit in fits.items():
        rounds = next(i for i, left in enumerate(counts) if i and left <= s)
        assert (fit.model.nnz, fit.iterations) == (counts[rounds], epochs * rounds)
    assert counts[:14] == [54, 49, 44, 40, 36, 32, 29, 26, 23, 21, 19, 17, 15, 14], "a tenth of 15 is 1"
    for s in range(2, 54):
        assert all(bool((a <= b).all()) for a, b in zip(masks(fits[s - 1]), masks(fits[s]), strict=True)), "nested"


@pytest.mark.parametrize("depth", [1, 2])
def test_survivors_go_back_to_their_initial_weights_and_adam_starts_afresh(depth: int) -> None:
    """After one epoch at a mask the weights are one first step of Adam away from the masked initial ones."""
    problem, lr = planted(), 1e-2
    sizes = Shape(6, depth).widths(8, 1)
    initial = initial_weights(sizes, torch.Generator().manual_seed(1))
    fits = path(IMP(epochs=1, lr=lr, evaluate="after_retrain"), [50, 30, 12, 5], depth)
    for fit in fits.values():
        start = [(w * mask).requires_grad_() for w, mask in zip(initial, masks(fit), strict=True)]
        x = problem.x
        for layer in start[:-1]:
            x = torch.relu(x @ layer.T)
        slopes = torch.autograd.grad((x @ start[-1].T - problem.y).square().mean(), start)
        for w, g, found, mask in zip(start, slopes, fit.model.layers, masks(fit), strict=True):
            expected = (w - lr * g / (g.abs() + 1e-8)) * mask  # bias correction makes m = g and v = g^2
            torch.testing.assert_close(found.dense(), expected.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_fused_network_is_the_same_function(depth: int) -> None:
    generator, x = torch.Generator().manual_seed(depth), planted().x.double()
    layers = [w.double() for w in initial_weights(Shape(6, depth).widths(8, 1), generator)]
    layers[-1][0, 2], layers[-2][4] = 0.0, 0.0
    hidden = x
    for layer in layers[:-1]:
        hidden = torch.relu(hidden @ layer.T)
    model = fused(layers)
    torch.testing.assert_close(model.forward(x), hidden @ layers[-1].T)
    alive = sum(bool(layers[-1][0, j]) * int((layers[-2][j] != 0).sum()) for j in range(6))
    assert model.nnz_by_layer == [*(int((w != 0).sum()) for w in layers[:-2]), alive], "output weights cost nothing"


@pytest.mark.parametrize("evaluate_at", ["after_prune", "after_retrain"])
@pytest.mark.parametrize("depth", [1, 2])
def test_fused_budgets_are_answered_by_the_first_round_whose_fused_weights_fit(depth: int, evaluate_at: str) -> None:
    problem, settings = planted(), {"epochs": 3, "evaluate": evaluate_at}
    rounds = list(path(IMP.model_validate(settings), list(range(1, 55 + 36)), depth).values())
    for s, fit in path(IMPFused.model_validate(settings), [60, 35, 20, 9, 3], depth).items():
        plain = next(r for r in rounds if fused([layer.dense() for layer in r.model.layers]).nnz <= s)
        assert fit.iterations == plain.iterations
        assert 0 <= fit.model.nnz <= s
        assert fit.model.nnz < plain.model.nnz
        torch.testing.assert_close(fit.model.forward(problem.x), plain.model.forward(problem.x), rtol=1e-4, atol=1e-6)


def test_fused_weights_need_one_output() -> None:
    shape = Shape(6)
    assert IMPFused().supports(planted(), shape) is None
    assert IMPFused().supports(planted(2), shape) == "imp_fused needs one output, the problem has 2; use imp"
    assert IMP().supports(planted(2), shape) is None
    assert (IMP().weights(8, 1, shape), IMPFused().weights(8, 1, shape)) == (54, 48)
    assert IMPFused().weights(8, 1, Shape(6, 2)) == 48 + 36


def test_every_round_has_one_order_of_minibatches_for_all_its_epochs() -> None:
    """Two rounds of torch.nn on the orders of one generator, the second from the masked initial weights."""
    problem, order = planted(), torch.Generator().manual_seed(1 + 3)
    initial, current = initial_weights([8, 6, 1], torch.Generator().manual_seed(1)), None
    alive = [torch.ones_like(w, dtype=torch.bool) for w in initial]
    for _ in range(2):
        current = [(w * mask).requires_grad_() for w, mask in zip(initial, alive, strict=True)]
        adam, batches = torch.optim.Adam(current, lr=1e-3), torch.randperm(200, generator=order).split(60)
        for rows in [rows for _ in range(3) for rows in batches]:
            adam.zero_grad()
            output = torch.relu(problem.x[rows] @ (current[0] * alive[0]).T) @ (current[1] * alive[1]).T
            torch.nn.functional.mse_loss(output, problem.y[rows]).backward()
            adam.step()
        alive = prune([w.detach() for w in current], alive, 0.1)
    fit = path(IMP(epochs=3, batch=60), [remaining_after(54, 2)[2]])[44]
    assert fit.iterations == 2 * 3 * 4
    for found, w, mask in zip(fit.model.layers, current, alive, strict=True):
        torch.testing.assert_close(found.dense(), (w * mask).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("evaluate_at", "rounds"), [("after_prune", 3), ("after_retrain", 4)])
def test_an_order_is_drawn_for_every_round(evaluate_at: str, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = Permutations.draw, list[torch.Tensor]()

    def watched(self: Permutations, n: int) -> torch.Tensor:
        drawn.append(draw(self, n))
        return drawn[-1]

    monkeypatch.setattr(Permutations, "draw", watched)
    settings = {"epochs": 5, "batch": 60, "evaluate": evaluate_at}
    fit = path(IMP.model_validate(settings), [remaining_after(54, 3)[3]])[40]
    assert len(drawn) == rounds == fit.iterations / (5 * 4)
    generator = torch.Generator().manual_seed(1 + 3)
    assert all(torch.equal(order, torch.randperm(200, generator=generator)) for order in drawn)
