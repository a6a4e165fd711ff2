"""Planted neurons that other networks of the same function have turned round."""

from __future__ import annotations

import numpy as np
import pytest

from mlpiht_cli.core.recovery import turnable

X = np.random.default_rng(0).normal(size=(200, 3))
PAIRS = [[1.0, 0, 0], [-2.0, 0, 0], [0, 3.0, 0], [0, -1.5, 0]]


def value(rows: list[list[float]]) -> np.ndarray:
    return np.maximum(X @ np.array(rows).T, 0.0).sum(1)


@pytest.mark.parametrize(
    ("neuron", "count"),
    [
        ([1.5, -2.5, 0.0], 1),  # -2 has 1.5 to give, 3 has 2.5
        ([2.5, -2.5, 0.0], 0),  # -2 has no 2.5
        ([-1.5, 0.5, 0.0], 0),  # 1 has no 1.5
        ([1.5, 0.0, 0.1], 0),  # no one-sparse neurons on the third input
    ],
)
def test_a_neuron_turns_where_pairs_pay_for_it(neuron: list[float], count: int) -> None:
    assert turnable(np.array([*PAIRS, neuron])) == count


def test_the_turned_network_has_the_same_function() -> None:
    a, b = 1.5, -2.5
    planted = [*PAIRS, [a, b, 0.0]]
    turned = [[1.0 + a, 0, 0], [-2.0 + a, 0, 0], [0, 3.0 + b, 0], [0, -1.5 + b, 0], [-a, -b, 0.0]]
    np.testing.assert_allclose(value(turned), value(planted))
    assert turnable(np.array(planted)) == turnable(np.array(turned)) == 1, "and it turns back"


def test_a_turn_that_needs_another_weight_does_not_count() -> None:
    """With 2 of -2 used up and no other on its side, the third input would need a second one-sparse neuron."""
    rows = [[1.0, 0, 0], [-2.0, 0, 0], [0, 0, -1.0], [1.0, 0, 0.5]]
    other = [[2.0, 0, 0], [-1.0, 0, 0], [0, 0, 0.5], [0, 0, -0.5], [-1.0, 0, -0.5]]
    np.testing.assert_allclose(value(other), value(rows))
    assert turnable(np.array(rows)) == 0
    assert turnable(np.array([*rows[:2], [0, 0, -0.5], rows[3]])) == 1, "-.5 becomes .5: no more weights"
    assert turnable(np.zeros((0, 3))) == 0
