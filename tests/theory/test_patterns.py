"""Patterns of gates, unit columns, and the closed form of two gates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpiht_cli.theory.columns import UnitColumns
from mlpiht_cli.theory.pairs import largest_of_pair, least_of_pair, pair_of_gates
from mlpiht_cli.theory.patterns import Patterns

# fmt: off
MASKS = np.array(
    [
        [1, 0, 1, 0, 0],
        [1, 0, 1, 0, 0],  # the first once more
        [0, 1, 0, 1, 1],  # its complement
        [0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1],
        [1, 0, 1, 0, 1],
        [1, 0, 1, 0, 0],
    ],
    dtype=bool,
)
# fmt: on


def test_patterns_are_counted() -> None:
    found = Patterns(MASKS)
    assert found.live.tolist() == [0, 1, 2, 4, 5, 6]
    assert (found.dead, found.always_on) == (1, 1)
    assert found.first.tolist() == [0, 0, 2, 3, 4, 5, 0]
    assert found.distinct.tolist() == [0, 2, 4, 5]
    assert found.duplicate_pairs == 3  # 0 1, 0 6, 1 6
    assert found.antipodal_pairs == 3  # 0 2, 1 2, 6 2
    assert found.eps == 2 / 5
    assert (found.gamma, found.gamma_distinct) == (0.0, 1 / 5)


def test_differences_are_those_of_a_count_one_by_one() -> None:
    masks = np.random.default_rng(0).random((9, 333)) < 0.4
    found = Patterns(masks).differences
    assert found is not None
    np.testing.assert_array_equal(found, (masks[:, None] != masks).sum(2))


def test_many_patterns_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpiht_cli.theory.patterns.MOST", 3)
    assert Patterns(MASKS).gamma_distinct is None


def test_zero_columns_are_left_out_and_counted() -> None:
    features = np.array([[1.0, 0, 0, 0, 0], [0, 2.0, 0, 1.0, 0], [1.0, 1, 1, 1, 1]])
    columns = UnitColumns(features, Patterns(MASKS))
    kept = [(int(c) // 3, int(c) % 3) for c in columns.index]
    assert kept == [
        (0, 0),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 1),
        (2, 2),
        (4, 0),
        (4, 1),
        (4, 2),
        (5, 0),
        (5, 2),
        (6, 0),
        (6, 2),
    ]
    assert columns.zero == 6 * 3 - len(kept)
    assert columns.norms[2 * 3 + 1] == pytest.approx(math.sqrt(5))
    assert columns.merged(np.array([1 * 3, 6 * 3 + 2, 4 * 3])).tolist() == [0, 2, 12]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75])
def test_the_closed_form_is_the_spectrum_of_the_population(share: float) -> None:
    """The cross block from an integral over the plane of the gates, in polar coordinates."""
    angle = math.pi * share
    turns = np.linspace(0, 2 * math.pi, 200_001)[:-1]
    points = np.stack([np.cos(turns), np.sin(turns)], 1)
    gates = pair_of_gates(angle, 2)
    both = ((points @ gates.T) > 0).all(1)
    # E r^2 = 2 for a Gaussian in the plane; a column's square norm is 1/2.
    block = 2.0 * (points[both].T @ points[both]) * 2.0 / len(turns)
    values = np.linalg.eigvalsh(np.block([[np.eye(2), block], [block.T, np.eye(2)]]))
    assert values[0] == pytest.approx(least_of_pair(angle), abs=1e-4)
    assert values[-1] == pytest.approx(largest_of_pair(angle), abs=1e-4)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9])
def test_samples_come_near_the_closed_form(share: float) -> None:
    x = np.random.default_rng(1).standard_normal((400_000, 5))
    angle = math.pi * share
    columns = UnitColumns(np.ascontiguousarray(x.T), Patterns(pair_of_gates(angle, 5) @ x.T > 0))
    values = np.linalg.eigvalsh(columns.gram(columns.index))
    assert abs(values[0] - least_of_pair(angle)) <= 0.005
