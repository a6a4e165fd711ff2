"""Compacted networks against the whole masked network, its gradients by torch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpiht_cli.baselines import compiled
from mlpiht_cli.baselines.compact import compact
from mlpiht_cli.baselines.compiled import CompiledNetwork, Samples
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.baselines.networks import TorchNetwork
from mlpiht_cli.core.fit import Fit
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import LOSSES, Loss, Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg import backprop
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted


def random_problem(rng: np.random.RandomState, n: int, d: int, k: int, loss: Loss) -> Problem:
    x, y = torch.from_numpy(rng.normal(size=(n, d))), torch.from_numpy(rng.normal(size=(n, k)))
    if loss == "cross_entropy":
        y = torch.nn.functional.one_hot(y.argmax(dim=1), k).double()
    return Problem(x, y, x, y, "psnr", loss)


def whole(problem: Problem, weights: list[torch.Tensor], masks: list[torch.Tensor]) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradients of the uncompacted network, masked weights among zeros."""
    free = [weight.clone().requires_grad_() for weight in weights]
    hidden = problem.x
    for weight, mask in list(zip(free, masks, strict=True))[:-1]:
        hidden = (hidden @ (weight * mask).T).relu()
    loss = LOSSES[problem.loss](hidden @ (free[-1] * masks[-1]).T, problem.y)
    loss.backward()
    return float(loss.detach()), [weight.grad for weight in free]


@settings(max_examples=60)
@given(
    st.sampled_from([1, 2]),
    st.tuples(st.integers(1, 90), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
    st.sampled_from(["squared", "cross_entropy"]),
    st.sampled_from([0.05, 0.3, 0.7, 1.0]),
    st.integers(0, 10**6),
)
def test_loss_and_gradients_are_those_of_the_whole_network(
    depth: int, shape: tuple[int, int, int, int], loss: Loss, share: float, seed: int
) -> None:
    n, d, m, k = shape
    rng = np.random.RandomState(seed)
    problem = random_problem(rng, n, d, k, loss)
    sizes = list(pairwise([d, *[m] * depth, k]))
    weights = [torch.from_numpy(rng.normal(size=(out, into))) for into, out in sizes]
    masks = [torch.from_numpy(rng.uniform(size=w.shape) < share) for w in weights]
    expected, gradients = whole(problem, weights, masks)
    parts = compact(masks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "CHUNKS", (int(rng.choice([1, 2, 7])), 7))
        patch.setattr(compiled, "CHUNK_BYTES", 1)
        patch.setattr(backprop, "PANELS", int(rng.choice([1, 3, 16])))
        made = [TorchNetwork(problem, parts, weights), CompiledNetwork(problem, parts, weights, Samples(problem))]
        for network in made:
            network.arrange(None, [(0, n)])
            assert float(network.backward(0, n)) == pytest.approx(expected, rel=1e-10)
            # One step of plain gradient descent shows every weight's gradient.
            for values in network.parameters:
                values.data -= values.grad
            for part, w, mask, moved, grad in zip(parts, weights, masks, network.weights(), gradients, strict=True):
                want = (w - grad) * mask
                torch.testing.assert_close(part.put(w * mask, moved * part.mask), want, rtol=1e-9, atol=1e-11)


def test_the_number_of_threads_changes_no_gradient() -> None:
    rng = np.random.RandomState(0)
    problem = random_problem(rng, 9000, 5, 1, "squared").to(torch.device("cpu"), torch.float32)
    weights = [torch.from_numpy(rng.normal(size=size)).float() for size in [(6, 5), (1, 6)]]
    masks = [torch.from_numpy(rng.uniform(size=w.shape) < 0.6) for w in weights]
    before, slopes = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            network = CompiledNetwork(problem, compact(masks), weights, Samples(problem))
            network.arrange(None, [(0, 9000)])
            network.backward(0, 9000)
            slopes.append(network.parameters[0].grad)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(slopes[0], slopes[1])
    assert torch.equal(slopes[0], slopes[2])


def test_a_callback_that_raises_stops_at_once() -> None:
    problem, steps = Planted(n=60, d=4).build(Axes(3, 6), Streams(0)), []

    def stop(step: int, loss: float) -> None:
        steps.append(step)
        if step == 3:
            raise StopIteration

    with pytest.raises(RuntimeError):  # what a generator makes of StopIteration
        list(IMP(epochs=10, batch=10).fit_path(problem, Shape(3), [4], Streams(0), stop))
    assert steps == [1, 2, 3]


@pytest.mark.parametrize("kind", ["torch", "compiled"])
def test_batches_are_spans_of_the_order(kind: str) -> None:
    rng = np.random.RandomState(0)
    problem = random_problem(rng, 50, 4, 2, "squared")
    weights = [torch.from_numpy(rng.normal(size=size)) for size in [(3, 4), (2, 3)]]
    masks = [torch.ones_like(w, dtype=torch.bool) for w in weights]
    parts, order = compact(masks), torch.from_numpy(rng.permutation(50))
    network = (
        TorchNetwork(problem, parts, weights)
        if kind == "torch"
        else CompiledNetwork(problem, parts, weights, Samples(problem))
    )
    spans = [(0, 20), (20, 50)]
    network.arrange(order, spans)
    for first, last in spans:
        rows = order[first:last]
        some = replace(problem, x=problem.x[rows], y=problem.y[rows])
        assert float(network.backward(first, last)) == pytest.approx(whole(some, weights, masks)[0])


def test_a_neuron_without_a_way_in_or_out_leaves() -> None:
    first = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]).bool()
    second = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]]).bool()
    third = torch.tensor([[1, 0], [0, 0]]).bool()
    parts = compact([first, second, third])
    assert [part.rows.tolist() for part in parts] == [[0], [0], [0, 1]]
    assert [part.cols.tolist() for part in parts] == [[0, 2], [0], [0]]
    assert parts[0].mask.tolist() == [[True, True]]
    weight = torch.arange(12.0).view(4, 3)
    assert torch.equal(parts[0].put(weight, parts[0].take(weight)), weight)


def test_weights_that_leave_keep_their_values_and_their_place_in_the_ranking() -> None:
    """A weight into a neuron without a way out gets no gradient, but counts as a weight."""
    rng = np.random.RandomState(1)
    masks = [torch.ones(3, 4, dtype=torch.bool), torch.tensor([[True, False, True]])]
    weights = [torch.from_numpy(rng.normal(size=mask.shape)) for mask in masks]
    problem = random_problem(rng, 20, 4, 1, "squared")
    network = CompiledNetwork(problem, compact(masks), weights, Samples(problem))
    network.arrange(None, [(0, 20)])
    network.backward(0, 20)
    network.parameters[0].data -= 1.0
    part = compact(masks)[0]
    after = part.put(weights[0] * masks[0], network.weights()[0])
    assert torch.equal(after[1], weights[0][1])
    assert not torch.equal(after[0], weights[0][0])


def answers(method: IMP, problem: Problem, shape: Shape, budgets: list[int]) -> dict[int, Fit]:
    return {fit.budget: fit for fit in method.fit_path(problem, shape, budgets, Streams(3))}


@pytest.mark.parametrize(("k", "depth", "batch"), [(1, 1, 0), (3, 1, 0), (1, 2, 0), (1, 1, 64), (2, 2, 64)])
def test_compiled_and_torch_trajectories_end_within_a_hundredth_of_a_decibel(
    k: int, depth: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Planted(n=200, d=8, k=k).build(Axes(6, 24, depth), Streams(1)).to(torch.device("cpu"), torch.float64)
    method, budgets = IMP(epochs=10, batch=batch, dtype="float64"), [60, 30, 12, 5]
    ours = answers(method, problem, Shape(6, depth), budgets)
    monkeypatch.setenv(BACKEND, "torch")
    theirs = answers(method, problem, Shape(6, depth), budgets)
    for s in budgets:
        a, b = (evaluate(fits[s].model, problem).value for fits in (ours, theirs))
        assert a == pytest.approx(b, abs=0.01)
        assert ours[s].model.nnz_by_layer == theirs[s].model.nnz_by_layer
        assert ours[s].history == pytest.approx(theirs[s].history, rel=1e-6)
