"""Compiled products of a layer with blocks of samples, their sums held in registers; a layer is sparse or dense.

Features, outputs of units and slopes are stored in blocks of four vectors of samples, 256 bytes a unit: an array
``[blocks * units, samples]`` has the units of the first block, then those of the second. It starts at a whole vector of
memory, and samples that fill up a block are zero. So no loop has a rest, and what is used together lies together.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.jit import inlined, kernel
from mlpiht_cli.linalg.simd import BYTES, add, fma, lanes, load, splat, store
from mlpiht_cli.linalg.simd_layers import add_totals, fetch, relu, where_active

BUILT_ON = "66e76f997765c768"
"""Start of the SHA-256 of ``loops.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
PLAIN, RELU, ACTIVE = 0, 1, 2
"""What becomes of a product: nothing; zero if negative; zero where the unit is not active."""
NEAR = 2
"""Blocks of samples that pass a sparse gradient together; those of a hundred units fit into the level-1 cache."""


TOGETHER = 64
"""Columns that pass a dense gradient together."""


class Layer(NamedTuple):
    """A weight matrix ``[rows, cols]`` stored row by row; its values start at ``place`` in an array for all layers.

    Row ``j`` has the values from ``start[j]`` to ``start[j + 1] - 1``. In a sparse layer ``col`` lists their columns. A
    dense layer stores all entries, and ``col`` counts from 0 to ``cols - 1``.
    """

    start: NDArray[np.int64]
    col: NDArray[np.int64]
    place: int
    rows: int
    cols: int
    dense: bool


class Target(NamedTuple):
    """Blocks for products ``out``, their rule, and the outputs of the units ``active`` (for the rule ACTIVE)."""

    out: NDArray[Any]
    rule: int
    active: NDArray[Any]


def empty_blocks(blocks: int, units: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return uninitialised blocks ``[blocks, units, samples]``, from the start of a vector on."""
    # NumPy asks for large pages, which are filled and read faster.
    shape, space = (blocks, units, block_samples(dtype)), BYTES // dtype.itemsize
    memory = np.empty(math.prod(shape) + space, dtype)
    first = (-memory.ctypes.data % BYTES) // dtype.itemsize
    return memory[first : first + math.prod(shape)].reshape(shape)


def block_samples(dtype: np.dtype[Any]) -> int:
    """Return the number of samples of a block."""
    return 4 * BYTES // dtype.itemsize


@kernel
def arrange(x, cols, places, out):  # type: ignore[no-untyped-def]
    """Write the features ``x[:, cols]`` to blocks ``[blocks, cols, samples]``.

    Sample ``i`` of all blocks is ``x[places[i]]``, or 0 if its place is below 0.
    """
    size = out.shape[2]
    for block in range(len(out)):
        for c in range(len(cols)):
            row, col = out[block, c], cols[c]
            for i in range(size):
                place = places[block * size + i]
                row[i] = x[place, col] if place >= 0 else 0


@kernel
def bring(blocks):  # type: ignore[no-untyped-def]
    """Read blocks from front to back, which brings them into the cache sooner than products in the order of a layer."""
    flat = blocks.reshape(blocks.size)
    for i in range(0, len(flat), lanes(blocks)):
        fetch(flat, i)


@inlined
def _ruled(value, target, row, i):  # type: ignore[no-untyped-def]
    """Return a vector of products of a row after the rule."""
    if target.rule == RELU:
        return relu(value)
    if target.rule == ACTIVE:
        return where_active(load(target.active, row, i), value)
    return value


@inlined
def _put(four, target, row):  # type: ignore[no-untyped-def]
    """Write the products of a row and a block."""
    step, out = lanes(target.out), target.out
    store(_ruled(four[0], target, row, 0), out, row, 0)
    store(_ruled(four[1], target, row, step), out, row, step)
    store(_ruled(four[2], target, row, 2 * step), out, row, 2 * step)
    store(_ruled(four[3], target, row, 3 * step), out, row, 3 * step)


@kernel
def in_fours(layer):  # type: ignore[no-untyped-def]
    """Return how many rows of a layer, from the first on, are computed four at once; one left over is faster alone."""
    if not layer.dense or layer.rows < 4:
        return 0
    return layer.rows - (layer.rows % 4 == 1)


@kernel
def _row_products(blocks, layer, values, target, first):  # type: ignore[no-untyped-def]
    """Compute the products of the rows from ``first`` on, one row and two columns at once."""
    step, zero, col = lanes(blocks), splat(blocks.dtype.type(0)), layer.col
    for block in range(len(target.out) // max(1, layer.rows)):
        r = block * layer.cols
        for j in range(first, layer.rows):
            a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
            p, q = layer.start[j], layer.start[j + 1]
            before = p if layer.dense else 0
            for c in range(p, q - 1, 2):
                u, v = splat(values[layer.place + c]), splat(values[layer.place + c + 1])
                x, y = r + col[c - before], r + col[c + 1 - before]
                a0, a1 = fma(u, load(blocks, x, 0), a0), fma(u, load(blocks, x, step), a1)
                a2, a3 = fma(u, load(blocks, x, 2 * step), a2), fma(u, load(blocks, x, 3 * step), a3)
                b0, b1 = fma(v, load(blocks, y, 0), b0), fma(v, load(blocks, y, step), b1)
                b2, b3 = fma(v, load(blocks, y, 2 * step), b2), fma(v, load(blocks, y, 3 * step), b3)
            if (q - p) % 2:
                u, x = splat(values[layer.place + q - 1]), r + col[q - 1 - before]
                a0, a1 = fma(u, load(blocks, x, 0), a0), fma(u, load(blocks, x, step), a1)
                a2, a3 = fma(u, load(blocks, x, 2 * step), a2), fma(u, load(blocks, x, 3 * step), a3)
            _put((add(a0, b0), add(a1, b1), add(a2, b2), add(a3, b3)), target, block * layer.rows + j)


@kernel
def _four_products(blocks, layer, values, target, rows):  # type: ignore[no-untyped-def]
    """Compute the products of the first ``rows`` rows of a dense layer, four at once, the last ones perhaps twice."""
    step, cols, zero = lanes(blocks), layer.cols, splat(blocks.dtype.type(0))
    for block in range(len(target.out) // max(1, layer.rows)):
        for first in range(0, rows, 4):
            j = min(first, rows - 4)
            r, w, row = block * cols, layer.place + j * cols, block * layer.rows + j
            a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
            c0, c1, c2, c3, d0, d1, d2, d3 = zero, zero, zero, zero, zero, zero, zero, zero
            for c in range(cols):
                x0, x1 = load(blocks, r + c, 0), load(blocks, r + c, step)
                x2, x3 = load(blocks, r + c, 2 * step), load(blocks, r + c, 3 * step)
                v = splat(values[w + c])
                a0, a1, a2, a3 = fma(v, x0, a0), fma(v, x1, a1), fma(v, x2, a2), fma(v, x3, a3)
                v = splat(values[w + cols + c])
                b0, b1, b2, b3 = fma(v, x0, b0), fma(v, x1, b1), fma(v, x2, b2), fma(v, x3, b3)
                v = splat(values[w + 2 * cols + c])
                c0, c1, c2, c3 = fma(v, x0, c0), fma(v, x1, c1), fma(v, x2, c2), fma(v, x3, c3)
                v = splat(values[w + 3 * cols + c])
                d0, d1, d2, d3 = fma(v, x0, d0), fma(v, x1, d1), fma(v, x2, d2), fma(v, x3, d3)
            _put((a0, a1, a2, a3), target, row)
            _put((b0, b1, b2, b3), target, row + 1)
            _put((c0, c1, c2, c3), target, row + 2)
            _put((d0, d1, d2, d3), target, row + 3)


@kernel
def product(blocks, layer, values, target):  # type: ignore[no-untyped-def]
    """Compute ``W source`` for a source ``[blocks * cols, samples]``."""
    rows = in_fours(layer)
    if rows:
        _four_products(blocks, layer, values, target, rows)
    if rows < layer.rows:
        _row_products(blocks, layer, values, target, rows)


class Pair(NamedTuple):
    """Sources ``[blocks * cols, samples]`` and slopes ``[blocks * rows, samples]`` of a layer, and which blocks."""

    source: NDArray[Any]
    slopes: NDArray[Any]
    first: int
    end: int


@kernel
def _row_gradients(pair, layer, first, out):  # type: ignore[no-untyped-def]
    """Add the gradients of the rows from ``first`` on, eight columns at once, or the last four."""
    source, slopes, zero = pair.source, pair.slopes, splat(pair.source.dtype.type(0))
    step, col = lanes(source), layer.col
    for j in range(first, layer.rows):
        before = layer.start[j] if layer.dense else 0
        c, q = layer.start[j] - before, layer.start[j + 1] - before
        while c + 4 < q:
            a0, a1, a2, a3, a4, a5, a6, a7 = zero, zero, zero, zero, zero, zero, zero, zero
            p0, p1, p2, p3, p4 = col[c], col[c + 1], col[c + 2], col[c + 3], col[c + 4]
            p5, p6, p7 = col[min(c + 5, q - 1)], col[min(c + 6, q - 1)], col[min(c + 7, q - 1)]
            for b in range(pair.first, pair.end):
                r, g = b * layer.cols, b * layer.rows + j
                for i in range(0, 4 * step, step):
                    s = load(slopes, g, i)
                    a0, a1 = fma(s, load(source, r + p0, i), a0), fma(s, load(source, r + p1, i), a1)
                    a2, a3 = fma(s, load(source, r + p2, i), a2), fma(s, load(source, r + p3, i), a3)
                    a4, a5 = fma(s, load(source, r + p4, i), a4), fma(s, load(source, r + p5, i), a5)
                    a6, a7 = fma(s, load(source, r + p6, i), a6), fma(s, load(source, r + p7, i), a7)
            at, rest = layer.place + before + c, q - c - 4
            add_totals((a0, a1, a2, a3), out, at, (1, 4, 0))
            add_totals((a4, a5, a6, a7), out, at + 4, (1, rest, 0))
            c += 8
        if c < q:
            a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
            p0, p1, p2, p3 = col[c], col[min(c + 1, q - 1)], col[min(c + 2, q - 1)], col[min(c + 3, q - 1)]
            for b in range(pair.first, pair.end):
                r, g = b * layer.cols, b * layer.rows + j
                for i in range(0, 4 * step, 2 * step):
                    s, t, k = load(slopes, g, i), load(slopes, g, i + step), i + step
                    a0, b0 = fma(s, load(source, r + p0, i), a0), fma(t, load(source, r + p0, k), b0)
                    a1, b1 = fma(s, load(source, r + p1, i), a1), fma(t, load(source, r + p1, k), b1)
                    a2, b2 = fma(s, load(source, r + p2, i), a2), fma(t, load(source, r + p2, k), b2)
                    a3, b3 = fma(s, load(source, r + p3, i), a3), fma(t, load(source, r + p3, k), b3)
            sums = (add(a0, b0), add(a1, b1), add(a2, b2), add(a3, b3))
            add_totals(sums, out, layer.place + before + c, (1, q - c, 0))


@kernel
def _four_gradients(pair, layer, rows, out):  # type: ignore[no-untyped-def]
    """Add the gradients of the first ``rows`` rows of a dense layer, four rows and columns at once."""
    source, slopes, zero = pair.source, pair.slopes, splat(pair.source.dtype.type(0))
    step, cols = lanes(source), layer.cols
    # The sources of a few columns stay in the cache while all rows use them.
    for item in range(-(-cols // TOGETHER) * -(-rows // 4)):
        begin, j = item // -(-rows // 4) * TOGETHER, item % -(-rows // 4) * 4
        high = min(4, rows - j)
        for c in range(begin, min(begin + TOGETHER, cols), 4):
            count = min(4, cols - c)
            p, q, t = min(1, count - 1), min(2, count - 1), min(3, count - 1)
            u, v, w = min(1, high - 1), min(2, high - 1), min(3, high - 1)
            a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
            c0, c1, c2, c3, d0, d1, d2, d3 = zero, zero, zero, zero, zero, zero, zero, zero
            for b in range(pair.first, pair.end):
                r, g = b * cols + c, b * layer.rows + j
                for i in range(0, 4 * step, step):
                    x0, x1 = load(source, r, i), load(source, r + p, i)
                    x2, x3 = load(source, r + q, i), load(source, r + t, i)
                    s = load(slopes, g, i)
                    a0, a1, a2, a3 = fma(s, x0, a0), fma(s, x1, a1), fma(s, x2, a2), fma(s, x3, a3)
                    s = load(slopes, g + u, i)
                    b0, b1, b2, b3 = fma(s, x0, b0), fma(s, x1, b1), fma(s, x2, b2), fma(s, x3, b3)
                    s = load(slopes, g + v, i)
                    c0, c1, c2, c3 = fma(s, x0, c0), fma(s, x1, c1), fma(s, x2, c2), fma(s, x3, c3)
                    s = load(slopes, g + w, i)
                    d0, d1, d2, d3 = fma(s, x0, d0), fma(s, x1, d1), fma(s, x2, d2), fma(s, x3, d3)
            sums = (a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3)
            add_totals(sums, out, layer.place + j * cols + c, (high, count, cols))


@kernel
def add_gradient(source, layer, slopes, out):  # type: ignore[no-untyped-def]
    """Add the gradient of a layer's weights to ``out``; ``slopes`` ``[blocks * rows, samples]`` are its outputs'."""
    blocks, rows = len(slopes) // max(1, layer.rows), in_fours(layer)
    if rows:
        _four_gradients(Pair(source, slopes, 0, blocks), layer, rows, out)
    if rows < layer.rows:
        for first in range(0, blocks, NEAR):
            _row_gradients(Pair(source, slopes, first, min(blocks, first + NEAR)), layer, rows, out)
