"""Products and gradients of layers in blocks against NumPy's matrix products in float64."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpiht_cli.linalg import backprop, loops, products, simd
from mlpiht_cli.linalg.backprop import layout
from mlpiht_cli.linalg.products import (
    ACTIVE,
    PLAIN,
    RELU,
    Layer,
    Target,
    add_gradient,
    arrange,
    block_samples,
    empty_blocks,
    product,
)

TOLERANCE = {"float32": 2e-4, "float64": 1e-12}
KINDS = st.sampled_from(["float32", "float64"])
SHAPES = st.tuples(st.integers(1, 19), st.integers(1, 19), st.integers(1, 5))
"""Rows, columns and blocks: also no multiples of the four rows, columns and eight columns of a loop."""


def draw(shape: tuple[int, int, int], share: float, kind: str, seed: int) -> tuple[Layer, Any, Any, Any, Any]:
    """A layer whose values start at 3, its values and matrix, and blocks of sources and slopes."""
    rows, cols, blocks = shape
    rng = np.random.RandomState(seed)
    dense = share == 1.0
    stored = np.ones((rows, cols), bool) if dense else rng.uniform(size=(rows, cols)) < share
    matrix = rng.normal(size=(rows, cols)) * stored
    values = np.concatenate([np.full(3, np.nan), matrix[stored], [np.nan]]).astype(kind)
    source, slopes = (empty_blocks(blocks, units, np.dtype(kind)) for units in (cols, rows))
    source[:], slopes[:] = rng.normal(size=source.shape), rng.normal(size=slopes.shape)
    return layout(stored, 3, dense), values, matrix, source, slopes


def flat(blocks: Any) -> Any:
    """What the kernels take: the units of all blocks one below the other."""
    return blocks.reshape(-1, blocks.shape[2])


@settings(max_examples=80)
@given(
    SHAPES, st.sampled_from([0.0, 0.1, 0.6, 1.0]), st.sampled_from([PLAIN, RELU, ACTIVE]), KINDS, st.integers(0, 999)
)
def test_a_product_is_numpys(shape: tuple[int, int, int], share: float, rule: int, kind: str, seed: int) -> None:
    layer, values, matrix, source, active = draw(shape, share, kind, seed)
    out = empty_blocks(shape[2], shape[0], np.dtype(kind))
    out[:] = np.nan
    product(flat(source), layer, values, Target(flat(out), rule, flat(active)))
    expected = np.einsum("rc,bcn->brn", matrix, source.astype(float))
    if rule == RELU:
        expected = np.maximum(expected, 0)
    if rule == ACTIVE:
        expected = expected * (active > 0)
    np.testing.assert_allclose(out, expected, rtol=0, atol=TOLERANCE[kind])


@settings(max_examples=80)
@given(SHAPES, st.sampled_from([0.0, 0.1, 0.6, 1.0]), KINDS, st.integers(0, 999))
def test_a_gradient_is_numpys_and_is_added(shape: tuple[int, int, int], share: float, kind: str, seed: int) -> None:
    layer, values, matrix, source, slopes = draw(shape, share, kind, seed)
    before = np.random.RandomState(seed).normal(size=len(values))
    out = before.copy()
    add_gradient(flat(source), layer, flat(slopes), out)
    expected = np.einsum("brn,bcn->rc", slopes.astype(float), source.astype(float))
    stored = np.ones(matrix.shape, bool) if layer.dense else matrix != 0
    np.testing.assert_allclose((out - before)[3:-1], expected[stored], rtol=0, atol=20 * TOLERANCE[kind])
    assert out[[0, 1, 2, -1]].tolist() == before[[0, 1, 2, -1]].tolist(), "numbers before and after are another layer's"


@given(st.integers(1, 150), KINDS, st.integers(0, 999))
def test_blocks_hold_the_chosen_samples_and_features(n: int, kind: str, seed: int) -> None:
    rng = np.random.RandomState(seed)
    x, cols = rng.normal(size=(n, 7)).astype(kind), np.flatnonzero(rng.uniform(size=7) < 0.6)
    size = block_samples(np.dtype(kind))
    places = rng.randint(-1, n, 3 * size)
    out = empty_blocks(3, len(cols), np.dtype(kind))
    arrange(x, cols, places, out)
    expected = np.where(places[:, None] >= 0, x[places][:, cols], 0)
    assert np.array_equal(out.transpose(0, 2, 1).reshape(3 * size, len(cols)), expected)
    assert out.size == 0 or out.ctypes.data % simd.BYTES == 0


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_is_not_a_number_stays_visible(share: float) -> None:
    layer, values, _, source, active = draw((6, 5, 1), share, "float32", 0)
    values[3:-1] = np.nan
    out = empty_blocks(1, 6, np.dtype("float32"))
    product(flat(source), layer, values, Target(flat(out), RELU, flat(active)))
    assert np.isnan(out).all(axis=(0, 2)).tolist() == [len(layer.col[p:q]) > 0 for p, q in _spans(layer)]


def _spans(layer: Layer) -> list[tuple[int, int]]:
    return [(0, layer.cols)] * layer.rows if layer.dense else list(zip(layer.start[:-1], layer.start[1:], strict=True))


@pytest.mark.parametrize(("module", "base"), [(products, loops), (backprop, products)])
def test_a_change_of_an_operation_is_a_change_of_what_is_built_on_it(module: Any, base: Any) -> None:
    """Numba would go on with old machine code otherwise: put the new start of the hash into the module's file."""
    assert hashlib.sha256(Path(base.__file__).read_bytes()).hexdigest().startswith(module.BUILT_ON)
