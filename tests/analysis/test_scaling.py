"""Thresholds and slopes, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.analysis.scaling import Curve, Scaling, slope, threshold

XS = (10.0, 100.0, 1000.0)


def one(*medians: float) -> np.ndarray:
    """Scores of three seeds whose medians these are."""
    return np.array([[value - 0.1, value, value + 0.3] for value in medians])


@pytest.mark.parametrize(
    ("medians", "found"),
    [
        ((0.0, 0.5, 1.0), 100.0),
        ((0.0, 0.4, 0.6), 10**2.5),
        ((0.2, 0.8, 1.0), 10**1.5),
        ((0.0, 0.9, 0.4), None),
        ((0.9, 0.0, 1.0), 10**2.5),
        ((0.6, 0.5, 0.7), 10.0),
        ((0.0, 0.0, 0.0), None),
    ],
)
def test_a_threshold_is_interpolated_in_log_x(medians: tuple[float, ...], found: float | None) -> None:
    assert threshold(XS, one(*medians), 0.5) == (None if found is None else pytest.approx(found))
    falling = 1.0 - one(*medians)
    assert threshold(XS, falling, 0.5, rising=False) == (None if found is None else pytest.approx(found))


def test_what_is_no_number_misses_the_level() -> None:
    scores = one(0.0, 0.6, 1.0)
    scores[0] = math.nan
    assert threshold(XS, scores, 0.5) == 100.0, "nothing is known between a run that went wrong and a grid point"
    scores[2, :2] = math.nan
    assert threshold(XS, scores, 0.5) is None
    assert threshold(XS, np.full((3, 3), math.nan), 0.5, rising=False) is None


@given(st.floats(-3, 3), st.floats(0.01, 100), st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True))
def test_power_laws_have_their_exponent(exponent: float, factor: float, xs: list[int]) -> None:
    assert slope(xs, [factor * x**exponent for x in xs]) == pytest.approx(exponent, abs=1e-6)
    assert slope(xs[:1] * 2, [1.0, 2.0]) is None


def sigmoid(d: float, exponent: float, noise: float, seeds: int = 8) -> Curve:
    """Scores that pass one half where n = 30 d^exponent, with shifts of log n that are the seeds' own."""
    n = 2.0 ** np.arange(3, 19)
    shifts = np.random.RandomState(int(d)).normal(scale=noise, size=seeds)
    place = np.log(n)[:, None] - math.log(30 * d**exponent) + shifts
    return Curve(d, tuple(n), 1 / (1 + np.exp(-place)))


@pytest.mark.parametrize("exponent", [0.3, 1.2])
def test_the_slope_of_a_law_is_found_with_its_interval(exponent: float) -> None:
    exact = Scaling(tuple(sigmoid(d, exponent, 0.0) for d in (16, 64, 256)), 0.5)
    assert exact.slope() == pytest.approx(exponent, abs=0.01)
    low, high = exact.slope_interval() or (0, 0)
    assert low == high == pytest.approx(exact.slope()), "equal seeds leave no doubt"
    noisy = Scaling(tuple(sigmoid(d, exponent, 0.4) for d in (16, 64, 256)), 0.5)
    low, high = noisy.slope_interval() or (0, 0)
    assert low < (noisy.slope() or 0) < high
    assert low < exponent < high
    assert noisy.slope_interval() == (low, high), "the same table gives the same interval"
    fewer = Scaling(tuple(sigmoid(d, exponent, 0.1) for d in (16, 64, 256)), 0.5).slope_interval() or (0, 0)
    assert fewer[1] - fewer[0] < high - low


def test_the_interval_covers_the_law_about_as_often_as_it_says() -> None:
    """The median of log-normal shifts: 95 % nominal, the bootstrap of few seeds is known to fall short of it."""
    random = np.random.RandomState(0)
    hits = 0
    for _ in range(40):
        place = np.log(2.0 ** np.arange(3, 12))[:, None] - math.log(100) + random.normal(scale=0.3, size=15)
        curve = Curve(1.0, tuple(2.0 ** np.arange(3, 12)), 1 / (1 + np.exp(-place)))
        low, high = Scaling((curve,), 0.5).threshold_interval(curve) or (0, 0)
        hits += low <= 100 <= high
    assert 32 <= hits <= 40


def test_what_lies_outside_of_the_grid_is_censored_and_leaves_the_slope() -> None:
    inside = [sigmoid(d, 1.0, 0.0) for d in (16, 64)]
    above, below = sigmoid(1e6, 1.0, 0.0), sigmoid(0.01, 1.0, 0.0)
    law = Scaling((below, *inside, above), 0.5)
    assert [law.censored(curve) for curve in law.curves] == [True, False, False, True]
    assert law.threshold(above) == math.inf
    assert law.threshold(below) == below.n[0]
    assert law.slope() == pytest.approx(1.0, abs=0.01)
    assert law.threshold_interval(above) == (math.inf, math.inf)
    assert Scaling((above, below), 0.5).slope() is None


def test_one_seed_has_no_interval() -> None:
    law = Scaling((sigmoid(16, 1.0, 0.1, seeds=1), sigmoid(64, 1.0, 0.1, seeds=1)), 0.5)
    assert law.slope() is not None
    assert law.slope_interval() is None
    assert law.threshold_interval(law.curves[0]) is None
