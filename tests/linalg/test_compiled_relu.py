"""Compiled products of a sparse ReLU network against dense NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.compiled_relu import CHUNK, ReluProducts, Rows

D = 7
Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def made(n: int, dtype: type, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Features, targets, weights with an empty and a full row and signs, and the linear part is the last row."""
    draws = np.random.default_rng(seed)
    x, y = draws.normal(size=(D, n)).astype(dtype), draws.normal(size=n).astype(dtype)
    w = (draws.normal(size=(6, D)) * (draws.uniform(size=(6, D)) < 0.5)).astype(dtype)
    w[1], w[3] = 0.0, 1.0
    return x, y, w, np.array([1, 1, -1, 1, -1, 0], dtype)


def rows(w: Array, sign: Array) -> Rows:
    row, col = w.nonzero()
    return Rows(np.searchsorted(row, np.arange(len(w) + 1)), col, w[row, col], sign)


def derivative(x: Array, w: Array, sign: Array) -> Array:
    """Columns of A by the definition, ``[entries, n]``."""
    row, col = w.nonzero()
    slope = np.where(sign[:, None] == 0, 1.0, sign[:, None] * (w.astype(float) @ x > 0))
    return np.asarray(slope[row] * x[col])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 5, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_products_are_those_of_dense_arrays(n: int, dtype: type) -> None:
    x, y, w, sign = made(n, dtype)
    found, row = ReluProducts(x, y), rows(w, sign)
    a = derivative(x, w, sign)
    left = y - w[w != 0].astype(float) @ a  # the network is linear in its weights once the gates are known
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(found.residual(row), left, **close)
    gradient, total = found.gradient(row)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, a @ left, rtol=close["rtol"], atol=n * close["atol"])
    assert total == pytest.approx(float(left @ left), rel=close["rtol"])
    np.testing.assert_array_equal(found.columns(row, slice(0, n)), a.astype(dtype))


@pytest.mark.parametrize("run", [slice(3, 4), slice(CHUNK - 1, CHUNK + 1), slice(100, 3 * CHUNK)])
def test_columns_of_a_run_are_a_part_of_all_columns(run: slice) -> None:
    x, y, w, sign = made(3 * CHUNK, np.float64)
    found, row = ReluProducts(x, y), rows(w, sign)
    np.testing.assert_array_equal(found.columns(row, run), found.columns(row, slice(0, 3 * CHUNK))[:, run])


def test_a_network_without_weights_leaves_the_targets() -> None:
    x, y, w, _ = made(40, np.float32)
    row = rows(w[:0], np.zeros(0, np.float32))
    found = ReluProducts(x, y)
    np.testing.assert_array_equal(found.residual(row), y)
    gradient, total = found.gradient(row)
    assert gradient.shape == (0,)
    assert total == pytest.approx(float(y.astype(float) @ y))
    assert found.columns(row, slice(0, 40)).shape == (0, 40)


def test_results_do_not_depend_on_the_threads() -> None:
    x, y, w, sign = made(40 * CHUNK + 3, np.float32)
    found, row, seen = ReluProducts(x, y), rows(w, sign), []
    for count in (1, 3):
        torch.set_num_threads(count)
        seen.append((found.residual(row), *found.gradient(row), found.columns(row, slice(5, 9000))))
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nan_stays_visible() -> None:
    x, y, w, sign = made(50, np.float32)
    w[0, 0] = np.nan
    left = ReluProducts(x, y).residual(rows(w, sign))
    assert np.isnan(left).any()
