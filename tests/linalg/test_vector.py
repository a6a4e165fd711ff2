"""Products of networks with several outputs, in both forms, against torch's autograd on a dense twin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mlpiht_cli.linalg import compiled, compiled_vector, vector
from mlpiht_cli.linalg.compiled_vector import CompiledVectorProducts, compiled_products
from mlpiht_cli.linalg.gated import TorchOperator
from mlpiht_cli.linalg.gates import GateRule, RandomGates, SomeGates, WeightGates
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.vector import Neurons, VectorProducts, Weights
from mlpiht_cli.rng import Streams

EXACT = {"rtol": 1e-10, "atol": 1e-10}
Sizes = tuple[int, int, int, int]
sizes = st.tuples(st.integers(1, 150), *[st.integers(1, 9)] * 3)
seeds = st.integers(0, 10**6)
each_form = pytest.mark.parametrize("form", ["compiled", "torch"])
each_gates = pytest.mark.parametrize("own", [True, False], ids=["own gates", "other gates"])


def dense_twin(x: Tensor, hidden: Tensor, output: Tensor, gates: Tensor) -> Tensor:
    """sum_j D_j X w1_j w2_j^T, neuron by neuron."""
    terms = [(x @ h > 0)[:, None] * torch.outer(x @ w, v) for h, w, v in zip(gates, hidden, output, strict=True)]
    return torch.stack(terms).sum(0)


def products(form: str, x: Tensor, gates: GateRule, weights: Weights) -> VectorProducts:
    features = x.T.contiguous()
    if form == "compiled":
        return compiled_products(features, gates, weights)
    return VectorProducts(features, TorchOperator(features, gates, weights.hidden.rows))


def weights_of(hidden: Tensor, output: Tensor) -> Weights:
    return Weights(SparseMatrix.from_dense(hidden), SparseMatrix.from_dense(output))


class Case:
    """A network of normal weights, some of them zero; some neurons' gates are zero, and some have no output."""

    def __init__(self, shape: Sizes, seed: int, own: bool) -> None:
        n, d, m, k = shape
        rng = np.random.RandomState(seed)
        normal = lambda *size: torch.from_numpy(rng.normal(size=size))  # noqa: E731
        some = lambda share, *size: torch.from_numpy(rng.uniform(size=size) < share)  # noqa: E731
        self.x, self.hidden, self.output, gates = normal(n, d), normal(m, d), normal(m, k), normal(m, d)
        self.hidden *= some(rng.choice([0.2, 0.5, 1.0]), m, d)
        (self.hidden if own else gates)[some(0.3, m)] = 0.0
        self.output[some(0.2, m)] = 0.0
        self.gates = self.hidden if own else gates
        self.weights = weights_of(self.hidden, self.output)
        self.rule = WeightGates(self.weights.hidden if own else SparseMatrix.from_dense(gates))
        self.dead = ~self.gates.any(dim=1)
        self.classes = torch.eye(k, dtype=torch.float64)[torch.from_numpy(rng.randint(0, k, size=n))]
        self.targets, self.direction = normal(n, k), normal(m, d + k)
        self.all = self.weights.of(torch.arange(m))

    def made(self, form: str) -> VectorProducts:
        return products(form, self.x, self.rule, self.weights)

    def autograd(self, loss: str) -> tuple[Tensor, Tensor]:
        """Residual ``[k, n]`` and gradients ``[m, d + k]``."""
        hidden, output = self.hidden.clone().requires_grad_(), self.output.clone().requires_grad_()
        prediction = dense_twin(self.x, hidden, output, self.gates)
        if loss == "squared":
            value = (prediction - self.targets).square().sum() / (2 * len(self.x))
        else:
            value = -(torch.log_softmax(prediction, dim=1) * self.classes).sum() / len(self.x)
        residual, *slopes = torch.autograd.grad(value, (prediction, hidden, output))
        return residual.T.contiguous(), torch.cat(slopes, dim=1)


@contextmanager
def blocked(words: int, panels: int, dense_from: float) -> Iterator[None]:
    """Chunks of few samples, few panels, and dense or sparse loops over hidden weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "CHUNK_BYTES", 32 * 8 * words)
        patch.setattr(compiled_vector, "PANELS", panels)
        patch.setattr(compiled_vector, "DENSE_SHARE", dense_from)
        yield


@each_form
@each_gates
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(sizes, seeds, st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.0, 0.45, 2.0]))
def test_predictions_and_slopes_are_autograds(
    form: str, own: bool, loss: str, shape: Sizes, seed: int, words: int, panels: int, dense_from: float
) -> None:
    case = Case(shape, seed, own)
    residual, expected = case.autograd(loss)
    with blocked(words, panels, dense_from):
        made = case.made(form)
        prediction, slopes = made.predict(case.weights), made.slopes(case.all, residual)
    torch.testing.assert_close(prediction, dense_twin(case.x, case.hidden, case.output, case.gates).T, **EXACT)
    torch.testing.assert_close(slopes, expected, **EXACT)
    assert not slopes[case.dead].any(), "a dead neuron has no gradient"


@each_form
@each_gates
@given(sizes, seeds, st.integers(1, 4))
def test_tiles_have_the_slopes_of_the_whole(form: str, own: bool, shape: Sizes, seed: int, size: int) -> None:
    case = Case(shape, seed, own)
    residual, expected = case.autograd("squared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector, "TILE", size)
        made, tiles = case.made(form), list(case.weights.tiles())
        assert all(len(tile.ids) <= size for tile in tiles)
        for tile in tiles:
            torch.testing.assert_close(made.slopes(tile, residual), expected[tile.ids], **EXACT)
        prediction = made.predict(case.weights)
    used = torch.cat([torch.empty(0, dtype=torch.int64), *[tile.ids for tile in tiles]])
    assert used.tolist() == (case.hidden.any(dim=1) | case.output.any(dim=1)).nonzero().flatten().tolist()
    torch.testing.assert_close(prediction, dense_twin(case.x, case.hidden, case.output, case.gates).T, **EXACT)


@given(sizes, seeds)
def test_gates_that_are_the_weights_need_no_masks(shape: Sizes, seed: int) -> None:
    """ReLU decides where the rule names the very weights, masks where it names equal ones; both are the same."""
    case = Case(shape, seed, own=True)
    residual, _ = case.autograd("squared")
    features, results = case.x.T.contiguous(), []
    for rule in (case.rule, WeightGates(SparseMatrix.from_dense(case.hidden))):
        made = compiled_products(features, rule, case.weights)
        assert made._relu == (rule is case.rule)
        results.append((made.predict(case.weights), made.slopes(case.all, residual)))
    for short, long in zip(*results, strict=True):
        torch.testing.assert_close(short, long, **EXACT)


@each_form
@each_gates
@given(sizes, seeds)
def test_a_revived_tile_keeps_the_gates_of_the_network_before(form: str, own: bool, shape: Sizes, seed: int) -> None:
    """The slopes are taken at the new weights; a neuron whose gate is zero stays closed."""
    case = Case(shape, seed, own)
    d, rng = case.x.shape[1], np.random.RandomState(seed)
    residual = torch.from_numpy(rng.normal(size=case.targets.T.shape))
    empty = [(part.amax(dim=1) == 0)[:, None] for part in (case.hidden, case.output)]
    fresh = case.direction.split([d, len(residual)], dim=1)
    hidden, output = (
        torch.where(none, new, old) for none, new, old in zip(empty, fresh, (case.hidden, case.output), strict=True)
    )
    slopes = case.made(form).slopes(Neurons(case.all.ids, hidden, output, revived=True), residual)
    for j, h in enumerate(case.gates):
        p = ((case.x @ h > 0)[:, None] * case.x).T @ residual.T
        torch.testing.assert_close(slopes[j], torch.cat([p @ output[j], p.T @ hidden[j]]), **EXACT)


@each_form
@each_gates
@given(sizes, seeds)
def test_a_ray_is_the_network_evaluated_with_its_gates_fixed(form: str, own: bool, shape: Sizes, seed: int) -> None:
    case = Case(shape, seed, own)
    here, first, second = case.made(form).along(case.all, case.direction)
    steps = case.direction.split([case.hidden.shape[1], case.output.shape[1]], dim=1)
    for mu in (-2.0, -0.3, 0.0, 1e-3, 0.7, 5.0):
        moved = case.hidden + mu * steps[0], case.output + mu * steps[1]
        expected = dense_twin(case.x, *moved, case.gates).T
        torch.testing.assert_close(here + mu * first + mu**2 * second, expected, rtol=1e-9, atol=1e-9)


@each_form
@given(sizes, seeds)
def test_random_gates_are_drawn_for_the_neurons_that_are_asked_for(form: str, shape: Sizes, seed: int) -> None:
    case = Case(shape, seed, own=False)
    stream, m = Streams(seed).gates(shape[1]), shape[2]
    every, h = RandomGates(stream, m, case.x), torch.from_numpy(stream.rows(0, m))
    expected = dense_twin(case.x, case.hidden, case.output, h).T
    for rule in (every, SomeGates(every, case.weights.used)):
        torch.testing.assert_close(products(form, case.x, rule, case.weights).predict(case.weights), expected, **EXACT)


@each_form
def test_a_network_of_dead_neurons_predicts_zero_and_stays(form: str) -> None:
    x, zero, some = torch.ones(3, 2), torch.zeros(4, 2), torch.ones(4, 2)
    for hidden, gates in ((zero, None), (some, zero)):
        weights = weights_of(hidden, some)
        rule = WeightGates(weights.hidden if gates is None else SparseMatrix.from_dense(gates))
        made, tile = products(form, x, rule, weights), weights.of(torch.arange(4))
        assert torch.equal(made.predict(weights), torch.zeros(2, 3))
        assert not made.slopes(tile, torch.ones(2, 3)).any()
        assert not any(part.any() for part in made.along(tile, torch.ones(4, 4, dtype=torch.float64)))


@each_form
def test_a_network_without_weights_predicts_zero(form: str) -> None:
    weights = weights_of(torch.zeros(4, 2), torch.zeros(4, 3))
    assert list(weights.tiles()) == []
    for rule in (
        WeightGates(weights.hidden),
        SomeGates(RandomGates(Streams(0).gates(2), 4, torch.ones(1)), weights.used),
    ):
        assert torch.equal(products(form, torch.ones(5, 2), rule, weights).predict(weights), torch.zeros(3, 5))


@each_form
def test_a_sample_on_the_hinge_is_closed_since_the_indicator_is_strict(form: str) -> None:
    x, output = torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.ones(1, 1)
    weights = weights_of(torch.tensor([[0.0, 3.0]]), output)
    other = WeightGates(SparseMatrix.from_dense(torch.tensor([[1.0, 0.0]])))
    assert products(form, x, other, weights).predict(weights).tolist() == [[0.0, 3.0]]
    weights = weights_of(torch.tensor([[1.0, 0.0]]), output)
    own = products(form, x, WeightGates(weights.hidden), weights)
    slopes = own.slopes(weights.of(torch.arange(1)), torch.ones(1, 2))
    assert slopes.tolist() == [[1.0, 1.0, 1.0]], "the second sample's alone"


@each_form
@each_gates
def test_gradients_are_float64_and_predictions_have_the_dtype_of_the_inputs(form: str, own: bool) -> None:
    case = Case((90, 7, 6, 3), 1, own)
    residual, expected = case.autograd("squared")
    small = weights_of(case.hidden.float(), case.output.float())
    rule = WeightGates(small.hidden if own else SparseMatrix.from_dense(case.gates.float()))
    made = products(form, case.x.float(), rule, small)
    prediction, slopes = made.predict(small), made.slopes(small.of(case.all.ids), residual.float())
    assert (prediction.dtype, slopes.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(slopes, expected, rtol=1e-4, atol=1e-5)
    assert all(part.dtype == torch.float32 for part in made.along(small.of(case.all.ids), slopes))


def test_the_number_of_threads_changes_nothing() -> None:
    case = Case((40_000, 5, 6, 3), 0, own=False)
    before, results = torch.get_num_threads(), []
    residual = case.targets.T.contiguous()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            made = case.made("compiled")
            assert isinstance(made, CompiledVectorProducts)
            results.append((made.predict(case.weights), made.slopes(case.all, residual)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
