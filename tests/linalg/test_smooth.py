from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpiht_cli.core.problem import LOSSES as TORCH_LOSSES
from mlpiht_cli.linalg.smooth import SMOOTH_LOSSES, Softmax, Squares

KINDS = ["cross_entropy", "squared"]


def data(seed: int, n: int = 12, d: int = 3, k: int = 3) -> tuple[torch.Tensor, torch.Tensor, np.random.RandomState]:
    rng = np.random.RandomState(seed)
    y = torch.eye(k)[rng.randint(k, size=n)]
    return torch.from_numpy(rng.normal(size=(n, d))), y.double(), rng


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(seed=st.integers(0, 999), ridge=st.sampled_from([0.0, 0.3]))
def test_values_gradients_and_hessians_are_autograds(kind: str, seed: int, ridge: float) -> None:
    x, y, rng = data(seed)
    theta = torch.from_numpy(rng.normal(scale=2.0, size=9))

    def objective(theta: torch.Tensor) -> torch.Tensor:
        return TORCH_LOSSES[kind](x @ theta.reshape(3, 3).T, y) + ridge / 2 * theta.square().sum()

    loss = SMOOTH_LOSSES[kind](x, y, ridge)
    value, gradient = loss.value_and_gradient(theta.numpy())
    np.testing.assert_allclose(value, objective(theta), rtol=1e-12)
    np.testing.assert_allclose(gradient, torch.autograd.functional.jacobian(objective, theta), atol=1e-12)
    np.testing.assert_allclose(
        loss.hessian(theta.numpy()), torch.autograd.functional.hessian(objective, theta), atol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_many_points_at_once_are_each_for_itself(kind: str) -> None:
    x, y, rng = data(3)
    loss, points = SMOOTH_LOSSES[kind](x, y, 0.1), rng.normal(size=(2, 4, 9))
    values, gradients = loss.value_and_gradient(points)
    hessians = loss.hessian(points)
    for place in np.ndindex(2, 4):
        value, gradient = loss.value_and_gradient(points[place])
        np.testing.assert_allclose(values[place], value)
        np.testing.assert_allclose(gradients[place], gradient)
        np.testing.assert_allclose(hessians[place], loss.hessian(points[place]))


def test_the_hessian_of_softmax_at_zero_is_a_kronecker_product() -> None:
    x, y, _ = data(5, n=40)
    gram = x.numpy().T @ x.numpy() / 40
    expected = np.kron(np.eye(3) / 3 - np.ones((3, 3)) / 9, gram)
    np.testing.assert_allclose(Softmax(x, y).hessian(np.zeros(9)), expected, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 999), scale=st.sampled_from([0.0, 0.1, 1.0, 10.0]))
def test_no_curvature_is_above_the_bound(kind: str, seed: int, scale: float) -> None:
    x, y, rng = data(seed)
    loss = SMOOTH_LOSSES[kind](x, y, 0.01)
    top = np.linalg.eigvalsh(loss.hessian(scale * rng.normal(size=9)))[-1]
    assert top <= loss.bound() * (1 + 1e-12)


def test_the_bounds_are_reached() -> None:
    """The squared loss everywhere; softmax where two classes are even and the third is far behind."""
    x, y, _ = data(1)
    squares = Squares(x, y, 0.2)
    np.testing.assert_allclose(np.linalg.eigvalsh(squares.hessian(np.zeros(9)))[-1], squares.bound())
    one = Softmax(torch.ones(1, 1).double(), torch.eye(3)[:1].double())
    np.testing.assert_allclose(np.linalg.eigvalsh(one.hessian(np.array([0.0, 0.0, -50.0])))[-1], one.bound())


def test_huge_outputs_do_not_overflow() -> None:
    x, y, _ = data(1)
    value, gradient = Softmax(x, y).value_and_gradient(np.full(9, 1e100) * np.arange(9))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_a_weight_vector_is_a_matrix_row_by_row() -> None:
    x, y, _ = data(1)
    theta = np.zeros(9)
    theta[1 * 3 + 2] = 7.0
    matrix = Softmax(x, y).matrix(theta)
    assert (matrix.row.tolist(), matrix.col.tolist(), matrix.values.tolist()) == ([1], [2], [7.0])
