from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.stability import ht_stability
from mlpiht_cli.linalg.threshold import hard_threshold

THETA = np.array([2.0, 0.0, -0.5, 0.0])


def test_the_two_parts() -> None:
    at = ht_stability(THETA, np.array([0.0, 0.3, 0.0, -1.0]), 2, 0.25, 1e-6)
    assert (at.on_support, at.off_ratio, at.stable) == (0.0, 0.5, True)


@pytest.mark.parametrize(
    ("gradient", "on", "ratio"),
    [([1e-3, 0.0, 0.0, 0.0], 1e-3, 0.0), ([0.0, 2.1, 0.0, 0.0], 0.0, 1.05), ([0.0, 0.0, -1.0, 9.0], 1.0, 4.5)],
)
def test_either_part_alone_breaks_it(gradient: list[float], on: float, ratio: float) -> None:
    at = ht_stability(THETA, np.array(gradient), 2, 0.25, 1e-6)
    assert (at.on_support, at.stable) == (on, False)
    assert at.off_ratio == pytest.approx(ratio)


def test_with_room_left_every_gradient_must_vanish() -> None:
    assert ht_stability(THETA, np.array([0.0, 0.1, 0.0, 0.0]), 3, 0.25, 1e-6).off_ratio == math.inf
    assert not ht_stability(THETA, np.array([0.0, 0.1, 0.0, 0.0]), 3, 0.25, 1e-6).stable
    assert ht_stability(THETA, np.full(4, 1e-7), 3, 0.25, 1e-6).stable
    assert ht_stability(THETA, np.zeros(4), 3, 0.25, 0.0).stable
    assert ht_stability(np.ones(3), np.zeros(3), 3, 0.25, 0.0).off_ratio == 0.0, "nothing is off a full support"


@given(st.integers(0, 9999), st.integers(1, 6), st.sampled_from([0.1, 1.0, 5.0]), st.booleans())
def test_it_is_what_a_step_leaves_where_it_is(seed: int, s: int, step: float, still: bool) -> None:
    """Without ties and tolerance the certificate says whether a step of IHT changes nothing."""
    rng = np.random.RandomState(seed)
    theta = hard_threshold(rng.normal(size=6), s)
    gradient = rng.normal(size=6) * np.where(theta != 0, 0.0 if still else 1e-3, 1.0)
    stays = np.array_equal(hard_threshold(theta - step * gradient, s), theta)
    assert ht_stability(theta, gradient, s, step, 0.0).stable == stays
