"""The floor counts what the protocol's formulas need, against short counts of its own."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import common, floor, machine, speed, speed_imp
from benchmarks.clock import Seconds
from benchmarks.floor import Turn
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector

N, D, M, S = 300, 8, 5, 12


def problem(k: int = 1) -> Problem:
    return common.planted(N, D, (M, 20 if k > 1 else S), seed=2, k=k)


def test_steps_of_minibatches_and_of_full_batches() -> None:
    first, later, last = Turn(4, True, True, True), Turn(4, True, True, False), Turn(2, True, True, False)
    second = [Turn(4, True, False, True), Turn(4, False, False, False), Turn(2, False, False, False)]
    third = [Turn(4, False, False, True), *second[1:]]
    assert [*floor.turns(10, 4, 3)] == [first, later, last, *second, *third]
    # Random gates serve steps 0 and 1 and are made once; blocks are revived at the start alone.
    kinds = [(turn.random, turn.new, turn.revive) for turn in floor.turns(10, 0, 3)]
    assert kinds == [(True, True, True), (True, False, False), (False, False, False)]


def test_networks_between_steps_are_those_of_shorter_fits() -> None:
    data, method = problem(), IHT(steps=6, dtype="float64")
    after = [*floor.networks(method, data, (M, S))]
    for steps, network in enumerate(after, 1):
        shorter = common.fit(IHT(steps=steps, dtype="float64"), data, (M, S)).model
        assert shorter.layers[0].equals(network.layers[0])
    assert len(after) == 6


def test_a_method_without_networks_between_steps_has_no_floor() -> None:
    with pytest.raises(ValueError, match="imp show no networks"):
        list(floor.networks(IMP(epochs=1), problem(), (M, S)))


def test_the_floor_of_iht_by_its_formulas() -> None:
    data, steps = problem(), 6
    live, nonzeros = [], [0]
    for number in range(1, steps + 1):
        found = common.fit(IHT(steps=number), data, (M, S)).model.layers[0].dense().numpy()
        live.append(int(found.any(axis=1).sum()))
        nonzeros.append(np.count_nonzero(found))
    assert min(live[1:-1]) < M, "no neuron died, so the test says nothing"
    product = 2 * N * D  # of all samples with one neuron
    gradients = [M, M, *live[1:-1]]
    expected = product * (M + sum(gradients))  # the random gates once, X^T D_j r of each live neuron at every step
    expected += sum(2 * N * count + 2 * N * count for count in nonzeros[:-1])  # A_S w, and A_S g
    for count in nonzeros[1:]:  # g, then ten products there and nine back, or with A_S^T A_S
        expected += 2 * N * count + min(19 * 2 * N * count, N * count * (count + 1) + 10 * 2 * count * count)
    after = [*floor.networks(IHT(steps=steps), data, (M, S))]
    assert floor.iht(data, M, [*floor.turns(N, 0, steps)], after) == expected


def test_a_gram_matrix_refines_few_weights_cheaper_and_many_dearer() -> None:
    assert floor.refinement(1000, 1) < 2 * 1000 + 19 * 2 * 1000
    assert floor.refinement(1000, 200) == 20 * 2 * 1000 * 200
    by_size = [floor.refinement(1000, kept) for kept in range(60)]
    assert by_size == sorted(by_size)


def neuron_by_neuron(turn: Turn, network: SparseMLP | None, k: int) -> int:
    """Count the multiply-adds of a step and a sample."""
    total = 0
    for j in range(M):
        w1 = np.zeros(D) if network is None else network.layers[0].dense().numpy()[j]
        w2 = np.zeros(k) if network is None else network.layers[1].dense().numpy()[:, j]
        fresh1, fresh2 = turn.revive and max(w1) == 0, turn.revive and max(w2) == 0
        a, b = (w1 != 0).sum(), (w2 != 0).sum()
        total += a + (b if a else 0)  # forward
        start1, start2 = D if fresh1 else a, k if fresh2 else b
        if not (turn.random or a) or not (start1 or start2):
            continue  # the gate is shut, or there is nothing to move
        total += D if turn.random else 0  # X h_j
        total += start1 if fresh1 else 0  # X w1_j of the new numbers
        total += start2 + (D if start2 else 0)  # R w2_j, X^T of it
        total += k if start1 else 0  # R^T (D X w1_j)
    return int(total)


@pytest.mark.parametrize("batch", [0, 90])
def test_the_floor_of_several_outputs_neuron_by_neuron(batch: int) -> None:
    data = problem(k=3)
    count = {"epochs": 4, "batch": batch} if batch else {"steps": 6}
    after = [*floor.networks(IHTVector.model_validate(count), data, (M, 20))]
    turns = [*floor.turns(N, batch, 4 if batch else 6)]
    before: list[SparseMLP | None] = [None, *after[:-1]]
    expected = sum(2 * turn.samples * neuron_by_neuron(turn, was, 3) for turn, was in zip(turns, before, strict=True))
    assert floor.iht_vector(data, M, turns, after) == expected
    # The first step: gates, new hidden numbers, X^T, and twice the outputs, for all neurons.
    assert neuron_by_neuron(turns[0], None, 3) == M * (3 * D + 2 * 3)


def test_the_floor_of_imp_has_weights_on_paths_alone() -> None:
    first, last = np.ones((3, 4), bool), np.ones((2, 3), bool)
    dense = 2 * 10 * (2 * 12 + 3 * 6)
    assert floor.imp([[first, last]], 10) == dense
    first[0], last[:, 1] = False, False  # a neuron without inputs, and one without outputs
    alive = 2 * 10 * (2 * 4 + 3 * 2)
    assert floor.imp([[first, last]], 10) == alive
    assert floor.imp([[np.ones((3, 4), bool), np.ones((2, 3), bool)], [first, last]], 10) == dense + alive
    assert first[1].all(), "the masks are left as they are"
    deep = [np.ones((3, 4), bool), np.array([[True, False, False]]), np.ones((2, 1), bool)]
    assert floor.imp([deep], 10) == 2 * 10 * (2 * 4 + 3 * (1 + 2))


def test_the_floor_of_imp_has_the_networks_that_were_trained() -> None:
    case, rates = speed_imp.Case("x", M, S, n=N, d=D, epochs=2), machine.Rates({"float32": 1e9}, 1.0, 1)
    row = speed_imp._floor(case, problem(), rates, Seconds(9.0, 3.0))
    left, masks = M * (D + 1), [[np.ones((M, D), bool), np.ones((1, M), bool)]]
    while True:
        left -= round((1 - (0.9 * M * (D + 1)) / (M * (D + 1))) * left)
        if left <= S:
            break
        found = IMP(epochs=2).fit(problem(), Shape(M), left, Streams(0)).model
        masks.append([layer.dense().numpy() != 0 for layer in found.layers])
    steps = sum(2 * sum(factor * mask.sum() for factor, mask in zip((2, 3), kept, strict=True)) for kept in masks)
    assert row["floor_gflop"] <= steps * 2 * N / 1e9 * (1 + 1e-12)  # weights on no path are left out
    assert row["floor_gflop"] >= 0.5 * steps * 2 * N / 1e9
    assert row["floor_step_s"] == pytest.approx(row["floor_gflop"] / (2 * len(masks)))
    assert row["over_floor"] == pytest.approx(3.0 / row["floor_gflop"])


def test_a_row_compares_processor_time_with_the_rate_of_its_dtype() -> None:
    case, rates = speed.Case("x", M, S, n=N, d=D, passes=3), machine.Rates({"float32": 2e9, "float64": 1e9}, 1.0, 1)
    row = speed._floor(case, problem(), rates, Seconds(7.0, 5.0))
    assert row["floor_step_s"] * 3 == pytest.approx(row["floor_gflop"] / 2)
    assert row["over_floor"] == pytest.approx(5.0 / (row["floor_gflop"] / 2))


def test_the_rate_on_one_thread_is_that_of_the_faster_library(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([4.0, 2.0, 1.0, 5.0, 1.0])  # float32 by torch and NumPy, float64, the copy
    monkeypatch.setattr(machine, "_seconds", lambda action, repeats: next(taken))
    with common.threads(1):
        rates = machine.rates(common.Plan(quick=True))
    assert rates.gemm == {"float32": 2 * 128**3 / 2.0, "float64": 2 * 128**3 / 1.0}
    taken = iter([4.0, 3.0, 1.0])
    with common.threads(2):
        assert machine.rates(common.Plan(quick=True)).gemm["float64"] == 2 * 128**3 / 3.0
