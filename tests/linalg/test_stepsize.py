"""Step sizes against their definitions, with f evaluated instead of expanded."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.stepsize import FIRST_STEP, Refinement, exact_step


class Matrix:
    """A support operator that is a matrix."""

    def __init__(self, a: np.ndarray) -> None:
        self.a = torch.from_numpy(a)

    def matvec(self, values: torch.Tensor) -> torch.Tensor:
        return self.a @ values

    def rmatvec(self, residual: torch.Tensor) -> torch.Tensor:
        return self.a.T @ residual


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


@given(st.integers(0, 10**6), st.floats(-9, 3))
def test_refinement_is_the_literal_protocol(seed: int, log_step: float) -> None:
    rng = np.random.RandomState(seed)
    a, y, w = rng.normal(size=(12, 4)), rng.normal(size=12), rng.normal(size=4)
    step = 2.0**log_step
    expected = literal_refinement(a, y, w, step, 5)
    start = torch.from_numpy(w)
    found = Refinement(5)(Matrix(a), start, torch.from_numpy(a @ w - y), step)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_after_ten_failed_halvings_the_thresholded_point_comes_back() -> None:
    a, w = np.eye(2), torch.tensor([1.0, 1.0], dtype=torch.float64)
    residual = Matrix(a).matvec(w)
    # Accepted from 1.1 on: 2000 / 2^10 = 1.95 still fails, 1000 / 2^10 = 0.98 passes at the tenth halving.
    assert Refinement()(Matrix(a), w, residual, 2000.0) is w
    assert not torch.equal(Refinement()(Matrix(a), w, residual, 1000.0), w)


def test_the_exact_step_minimises_along_the_gradient() -> None:
    rng = np.random.RandomState(0)
    a, w, y = rng.normal(size=(9, 3)), rng.normal(size=3), rng.normal(size=9)
    g = a.T @ (a @ w - y)
    step = exact_step(Matrix(a), torch.from_numpy(g))

    def f(mu: float) -> float:
        return float(((a @ (w - mu * g) - y) ** 2).sum())

    assert f(step) <= min(f(step * 0.999), f(step * 1.001))


def test_an_empty_support_only_ranks() -> None:
    assert exact_step(Matrix(np.zeros((3, 0))), torch.empty(0)) == FIRST_STEP
