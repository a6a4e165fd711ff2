"""Signs that single inputs tell."""

from __future__ import annotations

import numpy as np
import pytest

from mlpiht_cli.solvers.realloc.decode import Signs
from mlpiht_cli.solvers.realloc.told import Inputs

B, D = 120, 40


def puzzle(seed: int, pairs: int = 0, noise: float = 0.0) -> tuple[Inputs, np.ndarray]:
    """Return neurons of three weights, some of them turned; the first inputs have one-sparse neurons of both sides."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((B, D))
    for row in rows:
        row[rng.choice(D, 3, replace=False)] = rng.normal(size=3)
    turn = rng.random(B) < 0.5
    single = np.where(np.arange(D) % 2 == 0, rng.normal(size=D), 0.0)
    along = np.where(rng.random(D) < 0.5, single, 0.0)  # one-sparse neurons that are turned, too
    along[:pairs] = single[:pairs] * rng.random(pairs)  # anything between is a pair
    skip = -rows[turn].sum(0) - along + noise * rng.normal(size=D)
    return Inputs(rows, skip, single, np.full(D, max(1e-7, 4.0 * noise))), turn


@pytest.mark.parametrize("seed", range(3))
def test_inputs_tell_all_signs_where_steps_that_lower_a_cost_get_stuck(seed: int) -> None:
    inputs, turn = puzzle(seed)
    np.testing.assert_array_equal(inputs.told(), turn)
    every = np.concatenate([inputs.rows, np.diag(inputs.single)[::2]])
    signs = Signs(every, inputs.skip, np.arange(len(every)) >= B, False, inputs.least)
    np.testing.assert_array_equal(signs.told(), turn)
    assert signs.cost(signs.improved(signs.relaxed() > 0.5)) > 1.0, "a linear program and turns do not find them"
    assert signs.cost(turn) < 0.01


def test_inputs_with_pairs_tell_nothing_and_mislead_nowhere() -> None:
    inputs, turn = puzzle(3, pairs=30)
    wrong = inputs.told() != turn
    with_pairs = (inputs.single != 0.0) & (np.arange(D) < 30)
    assert wrong.any(), "there are neurons of which nothing is told"
    assert not inputs.rows[wrong][:, ~with_pairs].any(), "those whose inputs all have pairs"


def test_errors_leave_signs_open_rather_than_wrong() -> None:
    inputs, turn = puzzle(4, noise=0.05)
    told = inputs.told()
    assert not told[~turn].any(), "chance would fit many patterns"
    close, turned = puzzle(5, noise=1e-6)
    np.testing.assert_array_equal(close.told(), turned)


def test_a_weight_too_small_to_tell_is_left_to_other_inputs() -> None:
    rows = np.array([[1e-9, 1.0], [0.3, 0.4]])
    turn = np.array([True, True])
    inputs = Inputs(rows, -rows.sum(0), np.zeros(2), np.full(2, 1e-7))
    np.testing.assert_array_equal(inputs.told(), turn)


def test_a_pair_that_a_turn_would_explain_by_chance_tells_nothing() -> None:
    rows, single = np.array([[0.5], [0.3]]), np.array([0.4])
    pair = np.array([-0.29])  # of the one-sparse neuron's .4
    assert not Inputs(rows, pair, single, np.array([0.02])).told().any()
    np.testing.assert_array_equal(Inputs(rows, -rows[1], single, np.array([1e-4])).told(), [False, True])
