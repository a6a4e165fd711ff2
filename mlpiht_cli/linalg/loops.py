"""Loops over samples that the compiled kernels share: products of up to four units with dense or sparse weights."""

from __future__ import annotations

import numpy as np

from mlpiht_cli.linalg.jit import inlined, kernel
from mlpiht_cli.linalg.simd import fma, lanes, load, load_first, splat, store_first

BUILT_ON = "b185b8729ac7f972"
"""Start of the SHA-256 of ``simd_layers.py``, whose operations are compiled into the functions of this file.

Numba caches machine code until the file of a function changes, and checks only that file. A test compares such hashes,
so that a change of a file also changes those that are built on it.
"""
WHOLE = 64
"""Number of samples that is never less than a block."""


@kernel
def vectors(rows, like):  # type: ignore[no-untyped-def]
    """Return zeros ``[rows, lanes]`` for sums that are vectors, each within one line of the cache."""
    return aligned(rows, lanes(like), like)


@kernel
def half_vectors(rows, like):  # type: ignore[no-untyped-def]
    """Return zeros ``[rows, lanes / 2]`` for sums of vectors whose halves are added, each within one line."""
    return aligned(rows, lanes(like) // 2, like)


@kernel
def room(count, like):  # type: ignore[no-untyped-def]
    """Return memory for ``count`` numbers in the dtype of ``like``, from the start of a vector on."""
    memory = np.empty(count + 64 // like.itemsize, like.dtype)
    first = (-memory.ctypes.data % 64) // like.itemsize
    return memory[first : first + count]


@kernel
def aligned(rows, size, like):  # type: ignore[no-untyped-def]
    """Return zeros ``[rows, size]`` that begin at a line of the cache."""
    memory = room(rows * size, like)
    memory[:] = 0
    return memory.reshape((rows, size))


@inlined
def _step(sums, four, x):  # type: ignore[no-untyped-def]
    """Add the products of four vectors with one to four sums."""
    return fma(four[0], x, sums[0]), fma(four[1], x, sums[1]), fma(four[2], x, sums[2]), fma(four[3], x, sums[3])


@inlined
def _four(array, rows, i):  # type: ignore[no-untyped-def]
    """Return the vectors from ``i`` on of four rows."""
    x0, x1 = load(array, rows[0], i), load(array, rows[1], i)
    return x0, x1, load(array, rows[2], i), load(array, rows[3], i)


@inlined
def products(array, rows, others, n):  # type: ignore[no-untyped-def]
    """Return the products of four ``rows`` and four ``others`` over ``n`` samples, as vectors to sum up, by ``others``.

    ``n`` is a multiple of the lanes.
    """
    zero = splat(array.dtype.type(0))
    s0 = s1 = s2 = s3 = (zero, zero, zero, zero)
    for i in range(0, n, lanes(array)):
        x, z = _four(array, rows, i), _four(array, others, i)
        s0, s1, s2, s3 = _step(s0, x, z[0]), _step(s1, x, z[1]), _step(s2, x, z[2]), _step(s3, x, z[3])
    return s0, s1, s2, s3


@kernel
def combine(features, col, values, a, out):  # type: ignore[no-untyped-def]
    """Compute ``out = sum_c values[c] * features[col[c]]`` for the samples from ``a`` on."""
    n, b, c = len(out), a + len(out), 0
    out[:] = 0
    while c + 4 <= len(col):
        x0, x1 = features[col[c], a:b], features[col[c + 1], a:b]
        x2, x3 = features[col[c + 2], a:b], features[col[c + 3], a:b]
        v0, v1, v2, v3 = values[c], values[c + 1], values[c + 2], values[c + 3]
        for i in range(n):
            out[i] += v0 * x0[i] + v1 * x1[i] + v2 * x2[i] + v3 * x3[i]
        c += 4
    while c + 2 <= len(col):
        x0, x1 = features[col[c], a:b], features[col[c + 1], a:b]
        v0, v1 = values[c], values[c + 1]
        for i in range(n):
            out[i] += v0 * x0[i] + v1 * x1[i]
        c += 2
    if c < len(col):
        x0, v0 = features[col[c], a:b], values[c]
        for i in range(n):
            out[i] += v0 * x0[i]


@kernel
def correlate(features, col, a, with_, out):  # type: ignore[no-untyped-def]
    """Add ``features[col[c]] . with_`` over the samples from ``a`` on to ``out[c]``."""
    n, b, c = len(with_), a + len(with_), 0
    zero = features.dtype.type(0)
    while c + 4 <= len(col):
        x0, x1 = features[col[c], a:b], features[col[c + 1], a:b]
        x2, x3 = features[col[c + 2], a:b], features[col[c + 3], a:b]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for i in range(n):
            s0 += x0[i] * with_[i]
            s1 += x1[i] * with_[i]
            s2 += x2[i] * with_[i]
            s3 += x3[i] * with_[i]
        out[c] += s0
        out[c + 1] += s1
        out[c + 2] += s2
        out[c + 3] += s3
        c += 4
    while c + 2 <= len(col):
        x0, x1 = features[col[c], a:b], features[col[c + 1], a:b]
        s0, s1 = zero, zero
        for i in range(n):
            s0 += x0[i] * with_[i]
            s1 += x1[i] * with_[i]
        out[c] += s0
        out[c + 1] += s1
        c += 2
    if c < len(col):
        x0, s0 = features[col[c], a:b], zero
        for i in range(n):
            s0 += x0[i] * with_[i]
        out[c] += s0


@kernel
def correlate_four(features, a, seen, out, count):  # type: ignore[no-untyped-def]
    """Add ``features[c] . seen[j]`` to ``out[j, c]`` for the first ``count`` of four units.

    All sums have the same order, so equal features have equal sums and a tie stays a tie.
    """
    d, n, b = len(features), seen.shape[1], a + seen.shape[1]
    zero = features.dtype.type(0)
    q0, q1, q2, q3 = seen[0], seen[1], seen[2], seen[3]
    for c in range(0, d, 4):
        x0, x1 = features[c, a:b], features[min(c + 1, d - 1), a:b]
        x2, x3 = features[min(c + 2, d - 1), a:b], features[min(c + 3, d - 1), a:b]
        s00, s01, s02, s03, s10, s11, s12, s13 = zero, zero, zero, zero, zero, zero, zero, zero
        s20, s21, s22, s23, s30, s31, s32, s33 = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(n):
            s00, s01, s02, s03 = s00 + q0[i] * x0[i], s01 + q0[i] * x1[i], s02 + q0[i] * x2[i], s03 + q0[i] * x3[i]
            s10, s11, s12, s13 = s10 + q1[i] * x0[i], s11 + q1[i] * x1[i], s12 + q1[i] * x2[i], s13 + q1[i] * x3[i]
            s20, s21, s22, s23 = s20 + q2[i] * x0[i], s21 + q2[i] * x1[i], s22 + q2[i] * x2[i], s23 + q2[i] * x3[i]
            s30, s31, s32, s33 = s30 + q3[i] * x0[i], s31 + q3[i] * x1[i], s32 + q3[i] * x2[i], s33 + q3[i] * x3[i]
        sums = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
        for j in range(count):
            for e in range(min(4, d - c)):
                out[j, c + e] += sums[j][e]


@inlined
def _combined(features, weights, at, count):  # type: ignore[no-untyped-def]
    """Return a block of each of four units, ``weights`` ``[4, d]`` times the features from sample ``at`` on."""
    step, zero = lanes(features), splat(features.dtype.type(0))
    z0 = z1 = z2 = z3 = (zero, zero, zero, zero)
    for c in range(len(features)):
        x0, x1 = load_first(features, c, at, count), load_first(features, c, at + step, count - step)
        x2 = load_first(features, c, at + 2 * step, count - 2 * step)
        x = x0, x1, x2, load_first(features, c, at + 3 * step, count - 3 * step)
        z0, z1 = _step(z0, x, splat(weights[0, c])), _step(z1, x, splat(weights[1, c]))
        z2, z3 = _step(z2, x, splat(weights[2, c])), _step(z3, x, splat(weights[3, c]))
    return z0, z1, z2, z3


@inlined
def store_block(four, out, at, count):  # type: ignore[no-untyped-def]
    """Write the first ``count`` samples of a block, four vectors, to ``out`` from ``at = (row, sample)`` on."""
    step, (row, i) = lanes(out), at
    store_first(four[0], out, (row, i), count)
    store_first(four[1], out, (row, i + step), count - step)
    store_first(four[2], out, (row, i + 2 * step), count - 2 * step)
    store_first(four[3], out, (row, i + 3 * step), count - 3 * step)


@inlined
def _combine_block(features, weights, a, block, out):  # type: ignore[no-untyped-def]
    i, count = block
    z0, z1, z2, z3 = _combined(features, weights, a + i, count)
    store_block(z0, out, (0, i), count)
    store_block(z1, out, (1, i), count)
    store_block(z2, out, (2, i), count)
    store_block(z3, out, (3, i), count)


@kernel
def combine_four(features, weights, a, out):  # type: ignore[no-untyped-def]
    """Compute ``out[j] = weights[j] . features`` of four units, samples from ``a`` on; ``out`` is ``[4, n]``."""
    n, size = out.shape[1], 4 * lanes(features)
    whole = n - n % size
    for i in range(0, whole, size):
        _combine_block(features, weights, a, (i, WHOLE), out)
    if whole < n:
        _combine_block(features, weights, a, (whole, n - whole), out)
