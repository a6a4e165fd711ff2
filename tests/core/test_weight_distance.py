"""Relative error of the weights of matched neurons, for networks in every form."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.core.weight_distance import Neurons, distance_scores, relative_weight_error
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.plan.registry import TASKS
from mlpiht_cli.rng import Streams


def matrix(rows: object) -> SparseMatrix:
    return SparseMatrix.from_dense(torch.as_tensor(np.asarray(rows), dtype=torch.float64))


def planted(k: int, signs: str = "positive", m: int = 6) -> Problem:
    problem = TASKS["planted"](n=40, d=7, k=k, **({"signs": signs} if k == 1 else {})).build(Axes(m, 20), Streams(3))
    return problem.to(torch.device("cpu"), torch.float64)


def layers_of(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Planted hidden weights ``[m, d]`` and output weights ``[k, m]``, signs where there is one output."""
    assert problem.truth is not None
    hidden = problem.truth[0].dense().double().numpy()
    if problem.k > 1:
        return hidden, problem.truth[1].dense().double().numpy()
    signs = problem.truth_readout
    return hidden, (np.ones((1, len(hidden))) if signs is None else signs.double().numpy()[None])


def error(model: SparseMLP, problem: Problem) -> float:
    return distance_scores(model, problem)["relative_weight_error"]


def two_layers(hidden: np.ndarray, output: np.ndarray, bias: np.ndarray | None = None) -> SparseMLP:
    return SparseMLP((matrix(hidden), matrix(output)), bias=None if bias is None else torch.from_numpy(bias))


CASES = pytest.mark.parametrize(("k", "signs"), [(1, "positive"), (1, "mixed"), (10, "")])


@CASES
def test_the_same_function_in_another_form_has_no_error(k: int, signs: str) -> None:
    """Order, scales and copies of neurons are free: IMP's two layers can hold what is planted as one."""
    problem = planted(k, signs)
    hidden, output = layers_of(problem)
    order, scale = np.random.RandomState(0).permutation(6), np.random.RandomState(1).uniform(0.1, 9, (6, 1))
    copied = two_layers(
        np.vstack([hidden[order] * scale, hidden[:1], np.ones((1, 7))]),
        np.hstack(
            [output[:, order] / scale.T * np.where(order == 0, 0.25, 1.0), 0.75 * output[:, :1], np.zeros((k, 1))]
        ),
    )
    torch.testing.assert_close(copied.forward(problem.x), problem.y, atol=1e-5, rtol=1e-5)
    assert error(copied, problem) < 1e-6


@CASES
def test_the_error_is_that_of_the_best_of_all_matchings(k: int, signs: str) -> None:
    problem = planted(k, signs, m=4)
    hidden, output = layers_of(problem)
    g = np.random.RandomState(5)
    found, out = hidden[::-1] + 0.3 * g.normal(size=hidden.shape), output[:, ::-1] + 0.3 * g.normal(size=output.shape)
    if k == 1:
        out = np.sign(out)
    products = [[np.outer(c, u) for c, u in zip(cs.T, us, strict=True)] for cs, us in ((out, found), (output, hidden))]

    def squared(i: int, j: int) -> float:
        a, b = products[0][i], products[1][j]
        if found[i] @ hidden[j] <= 0 or out[:, i] @ output[:, j] <= 0:
            return float((a**2).sum() + (b**2).sum())
        return float(((a - b) ** 2).sum())

    least = min(sum(squared(i, j) for i, j in enumerate(order)) for order in permutations(range(4)))
    expected = np.sqrt(least / sum((one**2).sum() for one in products[1]))
    assert 0.05 < expected < 2
    assert error(two_layers(found, out), problem) == pytest.approx(expected, rel=1e-6)
    if k == 1:
        fused = SparseMLP((matrix(found),), torch.from_numpy(out[0].copy()))
        assert error(fused, problem) == pytest.approx(expected, rel=1e-6), "whatever form the network has"


def neurons(hidden: list[list[float]], output: list[float]) -> Neurons:
    return Neurons.of(matrix(hidden), torch.tensor(output, dtype=torch.float64))


def test_closed_forms() -> None:
    true = neurons([[3.0, 0.0], [0.0, 4.0]], [1.0, 1.0])  # |W*| = 5
    assert relative_weight_error(neurons([[0.0, 0.0]], [1.0]), true) == 1.0, "nothing found"
    assert relative_weight_error(neurons([[0.0, 4.0]], [1.0]), true) == pytest.approx(3 / 5), "one is missing"
    assert relative_weight_error(neurons([[3.0, 0], [0, 4], [0, -2]], [1, 1, 1]), true) == pytest.approx(2 / 5)
    assert relative_weight_error(neurons([[3.0, 0.5], [0, 4]], [1, 1]), true) == pytest.approx(0.5 / 5)
    assert relative_weight_error(neurons([[0.0, 8.0], [3.0, 0]], [1, 1]), true) == pytest.approx(4 / 5)
    half = neurons([[3.0, 0], [0, 4]], [1, -1])
    assert relative_weight_error(half, true) == pytest.approx(32**0.5 / 5), (
        "one is right, and the other of the wrong sign"
    )
    one = neurons([[0.0, 2.0]], [1.0])
    assert relative_weight_error(neurons([[0.0, -2.0]], [-1.0]), one) == pytest.approx(2**0.5), "another function"
    assert relative_weight_error(neurons([[0.0, 2.0]], [-1.0]), one) == pytest.approx(2**0.5)


def test_small_errors_keep_their_digits() -> None:
    """Of a weight by 1e-9 of the norm, which the difference of squares would lose."""
    true = neurons([[3.0, 0.0], [0.0, 4.0]], [1.0, 1.0])
    near = neurons([[3.0, 0.0], [5e-9, 4.0]], [1.0, 1.0])
    assert relative_weight_error(near, true) == pytest.approx(1e-9, rel=1e-3)


def test_a_bias_is_a_weight_that_was_not_planted() -> None:
    problem = planted(1)
    hidden, output = layers_of(problem)
    live = np.flatnonzero(hidden.any(1))
    bias = np.zeros(6)
    bias[live[0]] = 0.2
    norm = np.sqrt((hidden**2).sum())
    parallel = len(Neurons.of(matrix(hidden), torch.ones(6, dtype=torch.float64)).unit) < len(live)
    assert not parallel, "each neuron counts alone here"
    assert error(two_layers(hidden, output, bias), problem) == pytest.approx(0.2 / norm, rel=1e-6)


def test_networks_that_cannot_be_compared_have_none() -> None:
    problem = planted(1)
    linear = SparseMLP((matrix(np.ones((1, 7))),))
    deep = SparseMLP((matrix(np.ones((3, 7))), matrix(np.ones((3, 3)))), torch.ones(3))
    assert distance_scores(linear, problem) == distance_scores(deep, problem) == {}
    other = Problem(problem.x, problem.y, problem.x, problem.y, "psnr", peak=1.0)
    assert distance_scores(two_layers(*layers_of(problem)), other) == {}


@pytest.mark.parametrize("k", [1, 3])
def test_every_network_of_one_hidden_layer_is_scored(k: int) -> None:
    problem = planted(k)
    hidden, output = layers_of(problem)
    scored = evaluate(two_layers(1.1 * hidden, output), problem)
    assert scored is not None
    assert scored.more["relative_weight_error"] == pytest.approx(0.1, rel=1e-6)
