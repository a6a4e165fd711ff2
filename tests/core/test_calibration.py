"""Probabilities of two classes: the slope of greatest likelihood, one half between the classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpiht_cli.core.calibration import platt_slope


def likelihood(slope: float, scores: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    sign = np.where(second, 1.0, -1.0)
    return float(-np.log1p(np.exp(-sign * slope * scores)).sum())


def test_the_slope_is_the_most_likely_one() -> None:
    rng = np.random.RandomState(0)
    scores = rng.normal(0.0, 0.4, 2000)
    second = rng.uniform(size=2000) < 1 / (1 + np.exp(-6.0 * scores))
    slope = platt_slope(scores, second)
    assert slope == pytest.approx(6.0, rel=0.15), "the slope that made the labels"
    best = likelihood(slope, scores, second)
    assert best >= max(likelihood(slope * factor, scores, second) for factor in (0.95, 1.05))


def test_scores_that_separate_and_scores_that_say_nothing() -> None:
    second = np.array([True, False, True, False])
    assert 2 < platt_slope(np.array([0.4, -0.4, 0.3, -0.3]), second) < 20, "finite"
    assert platt_slope(np.array([-0.4, 0.4, -0.3, 0.3]), second) < 0.01, "a fit worse than chance says nothing"
