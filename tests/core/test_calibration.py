"""Probabilities of two classes: the slope of greatest likelihood, one half between the classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpiht_cli.core.calibration import platt


def likelihood(slope: float, output: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    sign = np.where(second, 1.0, -1.0)
    return float(-np.log1p(np.exp(-sign * slope * (output - 0.5))).sum())


def test_the_slope_has_the_greatest_likelihood_and_one_half_is_the_middle() -> None:
    rng = np.random.RandomState(0)
    output = rng.normal(0.5, 0.4, 2000)
    second = rng.uniform(size=2000) < 1 / (1 + np.exp(-6.0 * (output - 0.5)))
    slope, offset = platt(output, second)
    assert slope == pytest.approx(6.0, rel=0.15), "the slope that made the labels"
    assert slope * 0.5 + offset == 0.0
    best = likelihood(slope, output, second)
    assert best >= max(likelihood(slope * factor, output, second) for factor in (0.98, 1.02))


def test_outputs_without_information_and_outputs_that_separate() -> None:
    second = np.array([True, False, True, False])
    assert platt(np.full(4, 0.5), second) == (1.0, -0.5)
    assert platt(np.arange(4.0), np.ones(4, bool)) == (1.0, -0.5)
    slope, _ = platt(np.array([0.9, 0.1, 0.8, 0.2]), second)
    assert 10 < slope < 1e6
    slope, _ = platt(np.array([0.1, 0.9, 0.2, 0.8]), second)
    assert slope == 0.0, "a fit worse than chance says nothing"
