"""Rounds that assume nothing of the inputs, each part on hand-made cases, and networks that they recover."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.field import Field, cholesky
from mlpiht_cli.solvers.realloc.gates import GatePursuit
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.newton import GaussNewton
from mlpiht_cli.solvers.realloc.one_sided import finished, within
from mlpiht_cli.solvers.realloc.problem import OneOutput
from mlpiht_cli.solvers.realloc.propose import MomentProposal
from mlpiht_cli.solvers.realloc.search import Search
from mlpiht_cli.solvers.realloc.split import Split
from mlpiht_cli.solvers.realloc.wide import AnyInputs, above, ajar, partial_z, united
from mlpiht_cli.tasks.planted import Planted

N, D = 3000, 12


def blocks(*rows: dict[int, float], skip: torch.Tensor | None = None) -> Blocks:
    """Neurons given by their nonzeros."""
    w = torch.zeros(len(rows), D, dtype=torch.float64)
    for j, row in enumerate(rows):
        for a, value in row.items():
            w[j, a] = value
    return Blocks(w, w != 0, skip)


def samples(network: Blocks, x: np.ndarray) -> Samples:
    """Samples ``[n, d]`` with the network's outputs."""
    features = torch.from_numpy(np.ascontiguousarray(x.T))
    y = (network.weights @ features).clamp(min=0).sum(0)
    return Samples(features, y if network.skip is None else y + network.skip @ features)


def normal(seed: int = 0, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, D))


def cosines(found: Blocks, planted: Blocks) -> torch.Tensor:
    """For each planted neuron the largest cosine, up to sign, with a found one."""
    unit = torch.nn.functional.normalize
    return (unit(planted.weights) @ unit(found.weights).T).abs().amax(1)


ZERO = torch.zeros(D, dtype=torch.float64)
PLANTED = blocks({0: 1.0, 1: -2.0}, {2: 1.5, 3: 0.7, 4: -1.5}, {5: -1.2, 6: 1.2})


@pytest.mark.parametrize("kind", ["mean 1", "uniform", "absolute", "correlated"])
def test_the_pursuit_finds_planted_neurons_on_inputs_where_moments_mislead(kind: str) -> None:
    x = normal()
    x = {"mean 1": x + 1.0, "uniform": np.clip(x, -1.0, 1.0), "absolute": np.abs(x), "correlated": x + x[:, [0]]}[kind]
    data = samples(PLANTED, x)
    found = GatePursuit()(data, data.y, blocks())
    assert float(cosines(found, PLANTED).min()) > 0.9
    assert len(found.weights) < 20


def test_the_pursuit_does_not_propose_what_is_known() -> None:
    data = samples(PLANTED, normal() + 1.0)
    known = PLANTED.first(1)
    found = GatePursuit()(data, data.y, known)
    gates = [(w @ data.features > 0).double() * 2 - 1 for w in (known.weights, found.weights)]
    assert float((gates[0] @ gates[1].T).abs().max()) < 0.99 * N
    assert float(cosines(found, PLANTED)[1:].min()) > 0.98
    again = (GatePursuit()(data, data.y, blocks()).weights @ data.features > 0).double() * 2 - 1
    assert float((gates[0] @ again.T).abs().max()) > 0.99 * N, "without that it is proposed"


def test_the_pursuit_gives_output_signs() -> None:
    data = samples(PLANTED, normal() + 1.0)
    found = GatePursuit(signs=True)(data, -data.y, Blocks(blocks().weights, blocks().support, None, ZERO[:0]))
    assert found.outputs is not None
    assert found.outputs.tolist()[:2] == [-1.0] * 2


def test_random_cuts_come_from_the_generator_alone() -> None:
    data = samples(PLANTED, normal() + 1.0)
    first, second, other = (GatePursuit()(data, data.y, blocks(), np.random.default_rng(s)) for s in (3, 3, 4))
    torch.testing.assert_close(first.weights, second.weights, rtol=0, atol=0)
    assert first.weights.shape != other.weights.shape or not torch.equal(first.weights, other.weights)


def test_z_values_are_those_of_a_regression_on_base_and_column() -> None:
    rng = np.random.default_rng(0)
    base, columns, y = rng.standard_normal((5, 200)), rng.standard_normal((3, 200)), rng.standard_normal(200)
    columns[2] = 2.0 * base[0] - base[4]
    columns[1] += 3.0 * base[1]
    field = Field.of(torch.from_numpy(base), torch.from_numpy(columns), torch.from_numpy(y))
    left = y - base.T @ np.linalg.lstsq(base.T, y, rcond=None)[0]
    for i in range(2):
        rest = columns[i] - base.T @ np.linalg.lstsq(base.T, columns[i], rcond=None)[0]
        expected = rest @ y / np.linalg.norm(rest) / math.sqrt(left @ left / 195)
        assert float(field.z(torch.from_numpy(columns))[i]) == pytest.approx(expected, rel=1e-5)
    assert float(field.z(torch.from_numpy(columns))[2]) == 0.0, "the base has this column"


def test_a_factor_is_found_for_a_matrix_that_rounding_made_indefinite() -> None:
    matrix = torch.ones(3, 3, dtype=torch.float64) - 1e-6 * torch.eye(3, dtype=torch.float64)
    factor = cholesky(matrix)
    torch.testing.assert_close(factor @ factor.T, matrix, atol=1e-4, rtol=0)


def test_a_missing_input_stands_out_among_correlated_ones() -> None:
    """Inputs 0 to 3 have correlations of .9; the gradient of each is large, but one is missing."""
    x = normal()
    x[:, 1:4] = 3.0 * x[:, [0]] + x[:, 1:4]
    data = samples(PLANTED, x + 1.0)
    lacking = blocks({0: 1.0, 1: -2.0}, {2: 1.5, 4: -1.5}, {5: -1.2, 6: 1.2}, skip=ZERO)
    fitted = GaussNewton(10)(data, lacking).blocks
    z = partial_z(data, fitted, data.residual(fitted))
    assert not z[fitted.support].any()
    assert int(z.abs().argmax()) == D + 3
    assert above(z, 4.0, 1).nonzero().tolist() == [[1, 3]]
    assert not above(z, float("inf"), 5).any()


def test_neurons_ajar_are_open_on_some_samples_and_closed_on_some() -> None:
    data = samples(PLANTED, np.abs(normal()))
    weights = blocks({0: 1.0}, {0: -1.0}, {0: 1.0, 1: -1.0}).weights
    assert ajar(data, weights).tolist() == [False, False, True]


def test_neurons_that_are_open_on_the_same_samples_are_one() -> None:
    network = blocks({0: 1.0, 1: 1.0}, {2: -1.0, 3: 1.0}, {0: 1.0, 2: 2.0}, {2: 1.5, 3: -1.5, 4: 0.0}, skip=ZERO + 0.1)
    data = samples(network, np.abs(normal()))
    fewer = united(data, network, 0.0)
    assert len(fewer.weights) == 2
    torch.testing.assert_close(data.residual(fewer), data.residual(network), atol=1e-9, rtol=0)
    apart = united(samples(network, normal()), network, 0.0)
    assert len(apart.weights) == 3, "on inputs of both signs the first and the third differ"


def test_a_split_tells_two_neurons_apart_where_gauss_newton_cannot() -> None:
    pair = blocks({0: 1.0, 1: 0.3}, {0: 1.0, 1: -0.3}, {2: 1.0, 3: -1.0})
    data = samples(pair, normal() + 0.5)
    one = GaussNewton(10)(data, blocks({0: 2.0, 1: 0.0}, {2: 1.0, 3: -1.0}, skip=ZERO))
    split = Split.best(data, one.blocks, data.residual(one.blocks))
    assert float(split.gain[0]) > 3 * float(split.gain[1])
    torch.testing.assert_close(split.first[0] + split.second[0], one.blocks.weights[0])
    two = GaussNewton(10)(data, split.applied(one.blocks, [0]))
    assert one.loss > 1e-4
    assert two.loss < 1e-6 * one.loss
    assert len(two.blocks.weights) == 3


def test_an_open_neuron_takes_what_is_left_of_the_skip_on_one_sided_inputs() -> None:
    planted = blocks({0: 1.0, 1: -2.0}, {2: 1.5, 3: 0.7}, {4: 1.0, 5: -1.0}, {6: 0.5})
    data = samples(planted, np.abs(normal()))
    # The first neuron is turned round: what it lacks, and the two that are always open, are in the skip connection.
    found = blocks({0: -1.0, 1: 2.0}, {4: 1.0, 5: -1.0}, skip=planted.weights[[0, 1, 3]].sum(0))
    assert data.loss(found) < 1e-20
    clear = min(finished(data, found, 4, 8), key=data.loss)
    assert clear.skip is None
    assert data.loss(clear) < 1e-20
    assert len(clear.weights) == 3
    assert clear.nnz == 7


def test_a_network_over_the_budget_loses_what_matters_least_not_what_is_smallest() -> None:
    x = normal()
    x[:, 0] *= 10.0
    network = blocks({0: 0.2, 1: 1.0}, {2: 0.3, 3: 1.0})
    fewer = within(samples(network, x), network, 2, 3)
    assert fewer.support.nonzero().tolist() == [[0, 0], [0, 1], [1, 3]]
    assert within(samples(network, x), network, 1, 3).nnz == 2


def problem(inputs: str, n: int = 2000, d: int = 20, seed: int = 0, **settings: Any) -> Problem:
    return Planted(n=n, d=d, inputs=inputs, **settings).build(Axes(5, 15), Streams(seed))  # type: ignore[arg-type]


def fit(method: IHT | IHTRealloc, data: Problem, m: int = 5, s: int = 15) -> Fit:
    return method.fit(data, Shape(m), s, Streams(0))


def decibel(found: Fit, data: Problem) -> float:
    error = float((found.model.forward(data.x) - data.y).double().square().mean())
    return 20 * math.log10(data.peak or 1.0) - 10 * math.log10(max(error, 1e-300))


@pytest.mark.parametrize("inputs", ["shifted", "absolute", "student", "uniform", "ar"])
def test_planted_networks_are_recovered_whatever_the_inputs(inputs: str) -> None:
    data = problem(inputs, correlation=0.9)
    found = fit(IHTRealloc(), data)
    assert decibel(fit(IHT(), data), data) < 60
    assert decibel(found, data) > 100
    assert found.model.nnz <= 15


def test_real_rows_carry_planted_networks() -> None:
    data = problem("diabetes", n=442, d=10, prepare="standardised")
    assert decibel(fit(IHTRealloc(), data), data) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 13))
@pytest.mark.parametrize("inputs", ["shifted", "absolute", "student", "ar"])
def test_so_are_larger_ones_of_other_seeds(inputs: str, seed: int) -> None:
    task = Planted(n=3200, d=100, inputs=inputs)  # type: ignore[arg-type]
    data = task.build(Axes(10, 20), Streams(seed))
    assert decibel(fit(IHTRealloc(), data, 10, 20), data) > 100


def test_normal_inputs_get_moments_until_they_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Planted(n=12_000, d=20).build(Axes(5, 15), Streams(0))
    with monkeypatch.context() as patch:
        patch.setattr(AnyInputs, "round", None)
        patch.setattr(AnyInputs, "wide", None)
        assert decibel(fit(IHTRealloc(), data), data) > 100
    with monkeypatch.context() as patch:
        patch.setattr(Search, "begin", lambda self: iter(()))
        patch.setattr(MomentProposal, "__call__", lambda self, samples, residual, whiten, draws: no_neurons(20))
        found = fit(IHTRealloc(patience=1), data)
        assert {"split", "left_out"} & {move.name for move in found.moves}, "without moments rounds stall"
        assert decibel(found, data) > 100


def no_neurons(d: int) -> Blocks:
    return Blocks(torch.zeros(0, d, dtype=torch.float64), torch.zeros(0, d, dtype=torch.bool))


def search_of(data: Problem) -> Search:
    empty = SparseMLP.silent([data.d, 5, 1], data.x)
    return OneOutput.of(data, free=False).search(empty, Limits(5, 15), Streams(0).moves())


def test_powers_of_two_change_nothing() -> None:
    """Each input has its own: the search sees the same numbers, and its weights are divided by them."""
    data = problem("shifted")
    factor = torch.exp2(torch.arange(20) % 5 - 2.0)
    scaled = Problem(data.x * factor, data.y, data.x * factor, data.y, "psnr", peak=data.peak)
    first, second = search_of(data), search_of(scaled)
    for search in (first, second):
        for _ in range(2):
            search.round()
    assert first.best[1] == second.best[1] < 0.1
    assert torch.equal(first.best[0].weights, second.best[0].weights)


def test_the_search_turns_to_gates_once() -> None:
    data = Planted(n=500, d=20).build(Axes(5, 15), Streams(0))
    search = search_of(data)
    assert search.is_possible
    assert search.turns_to_gates()
    assert search.stalled == 1
    assert not search.turns_to_gates()
    few = search_of(Planted(n=79, d=20).build(Axes(5, 15), Streams(0)))
    assert not few.is_possible


@pytest.mark.parametrize(("rest", "vain"), [(0.02, False), (2.0, True)])
def test_rounds_are_in_vain_where_they_stall_far_from_the_targets(rest: float, vain: bool) -> None:
    """Noise of .04 % of the variance can be a network that is nearly found; 40 % of it is no network."""
    x, rng = np.abs(normal()), np.random.default_rng(1)
    data = samples(blocks({0: 2.0, 1: -1.5}, {2: 1.0, 3: -2.0}), x)
    data = Samples(data.features, data.y + rest * data.y.std() * torch.from_numpy(rng.standard_normal(N)))
    empty = blocks()
    search = Search(data, Limits(2, 4), np.random.default_rng(0), (empty, data.loss(empty)))
    while not search.stalled:
        assert not search.is_vain
        search.round()
    assert search.is_vain == vain
