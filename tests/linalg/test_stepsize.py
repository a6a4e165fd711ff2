"""Step sizes against their definitions, with f evaluated instead of expanded."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.operators import Quadratic
from mlpiht_cli.linalg.stepsize import FIRST_STEP, Refinement, exact_step, searched_step


class Matrix:
    """A support operator that is a matrix, with or without its Gram matrix."""

    def __init__(self, a: np.ndarray, has_gram: bool = False) -> None:
        self.a = torch.from_numpy(a)
        self.gram = self.a.T @ self.a if has_gram else None

    def matvec(self, values: torch.Tensor) -> torch.Tensor:
        return self.a @ values

    def quadratic(self, values: torch.Tensor, y: torch.Tensor, products: int) -> Quadratic:
        def normal(v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            image = self.a @ v
            return self.a.T @ image, image @ image

        return Quadratic(self.a.T @ (self.a @ values - y), normal, self.gram)


def literal_refinement(a: np.ndarray, y: np.ndarray, w: np.ndarray, mu: float, steps: int) -> np.ndarray:
    """Protocol, section 1, step 3, word for word: f is evaluated at every trial point."""
    start = w

    def f(v: np.ndarray) -> float:
        return float(((a @ v - y) ** 2).sum())

    for _ in range(steps):
        g = a.T @ (a @ w - y)
        for _ in range(11):
            if f(w) - f(w - mu * g) >= 0.9 * mu * (g @ g):
                break
            mu /= 2
        else:
            return start
        w = w - mu * g
    return w


@given(st.integers(0, 10**6), st.floats(-9, 3), st.booleans())
def test_refinement_is_the_literal_protocol(seed: int, log_step: float, has_gram: bool) -> None:
    rng = np.random.RandomState(seed)
    a, y, w = rng.normal(size=(12, 4)), rng.normal(size=12), rng.normal(size=4)
    step = 2.0**log_step
    expected = literal_refinement(a, y, w, step, 5)
    start = torch.from_numpy(w)
    found = Refinement(5)(Matrix(a, has_gram), start, torch.from_numpy(y), torch.tensor(step, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("has_gram", [False, True])
def test_after_ten_failed_halvings_the_thresholded_point_comes_back(has_gram: bool) -> None:
    a, w = np.eye(2), torch.tensor([1.0, 1.0], dtype=torch.float64)
    y = torch.zeros(2, dtype=torch.float64)
    # Accepted from 1.1 on: 2000 / 2^10 = 1.95 still fails, 1000 / 2^10 = 0.98 passes at the tenth halving.
    at = torch.tensor([2000.0, 1000.0], dtype=torch.float64)
    assert torch.equal(Refinement()(Matrix(a, has_gram), w, y, at[0]), w)
    assert not torch.equal(Refinement()(Matrix(a, has_gram), w, y, at[1]), w)


def test_the_exact_step_minimises_along_the_gradient() -> None:
    rng = np.random.RandomState(0)
    a, w, y = rng.normal(size=(9, 3)), rng.normal(size=3), rng.normal(size=9)
    g = a.T @ (a @ w - y)
    step = float(exact_step(Matrix(a), torch.from_numpy(w), torch.from_numpy(g)))

    def f(mu: float) -> float:
        return float(((a @ (w - mu * g) - y) ** 2).sum())

    assert f(step) <= min(f(step * 0.999), f(step * 1.001))


def test_an_empty_support_only_ranks() -> None:
    none = torch.empty(0, dtype=torch.float64)
    assert exact_step(Matrix(np.zeros((3, 0))), none, none) == FIRST_STEP
    zeros, slope = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    assert exact_step(Matrix(np.eye(2)), zeros, slope) == FIRST_STEP, "entries that are there to fill up"


# Losses along a ray as the solvers have them: of degree 2 (fused weights) and 4 (both layers move).
rays = st.lists(st.floats(-10, 10), min_size=2, max_size=4)


@given(rays, st.floats(-30, 30))
def test_a_searched_step_never_increases_the_loss(ray: list[float], log_start: float) -> None:
    def loss_at(step: float) -> float:
        return 100.0 + sum(c * step ** (i + 1) for i, c in enumerate(ray))

    step = searched_step(loss_at, 2.0**log_start, 100.0)
    assert step >= 0.0
    assert loss_at(step) <= 100.0


@given(st.floats(-10, 10), st.floats(-20, 20), st.floats(1e-3, 1e3))
def test_a_searched_step_is_nearly_the_best_of_a_parabola(log_best: float, log_ratio: float, scale: float) -> None:
    best = 2.0**log_best
    step = searched_step(lambda mu: scale * (mu - best) ** 2, best * 2.0**log_ratio, scale * best**2)
    assert 0.66 * best <= step <= 1.34 * best, "no worse than its half and its double"


@given(rays, st.floats(-10, 10))
def test_half_and_double_of_a_searched_step_are_no_better(ray: list[float], log_start: float) -> None:
    def loss_at(step: float) -> float:
        return 100.0 + sum(c * step ** (i + 1) for i, c in enumerate(ray)) + 0.1 * step**5

    step = searched_step(loss_at, 2.0**log_start, 100.0)
    assert step == 0.0 or loss_at(step) <= min(loss_at(step / 2), loss_at(step * 2))


def test_without_a_descent_the_searched_step_is_zero() -> None:
    assert searched_step(lambda step: step, 1.0, 0.0) == 0.0
    assert searched_step(lambda step: 7.0, 0.3, 7.0) == 0.3, "a loss that does not change leaves the start"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_overflow_is_worse_than_anything(bad: float) -> None:
    def loss_at(step: float) -> float:
        return 1.0 - step if step < 1e-3 else bad

    for start in (1e6, 1e-6):
        assert 2.5e-4 <= searched_step(loss_at, start, 1.0) < 1e-3
    assert searched_step(lambda step: bad, 1.0, 1.0) == 0.0
    assert searched_step(lambda step: 1.0, 1.0, math.nan) == 0.0
