"""Compiled products of the gated ReLU operator, fused and blocked over samples; each call does the share of a thread.

Features are stored feature by feature (``X^T``, ``[d, n]``), so a loop over samples reads memory in order and fills the
vector units. A kernel processes one chunk of samples at a time. The features of a chunk stay in the cache while all
neurons use them, and its activations, masks and images are in buffers of one chunk: no float array of ``n x s`` or
``n x m`` numbers exists. Masks are bits, ``uint32 [neurons, chunks, words]`` with ``chunk = 32 * words``: bit ``b`` of
word ``k`` belongs to sample ``b * words + k`` of the chunk, so one shift of a run of words unpacks a run of samples.

Sums over samples have the dtype of the features within a chunk, and float64 over chunks. Every array of sums has one
row per *panel*, a fixed share of the chunks. Threads take whole panels, so a result does not depend on their number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.jit import kernel

Floats = NDArray[Any]


class Masked(NamedTuple):
    """Features ``[d, n]`` and the masks that select samples, ``uint32 [rows, chunks, words]``."""

    features: Floats
    bits: NDArray[np.uint32]


class Support(NamedTuple):
    """Coordinates by neuron: neuron ``j`` has the columns ``col[start[j]:start[j + 1]]`` and the mask ``row[j]``."""

    start: NDArray[np.int64]
    col: NDArray[np.int64]
    row: NDArray[np.int64]


@kernel
def samples(data, chunk):  # type: ignore[no-untyped-def]
    """Return the first sample of a chunk and the end (excluded)."""
    size = 32 * data.bits.shape[2]
    return chunk * size, min(data.features.shape[1], (chunk + 1) * size)


@kernel
def panel_chunks(data, panels, panel):  # type: ignore[no-untyped-def]
    """Return the first chunk of a panel and the end (excluded)."""
    chunks = data.bits.shape[1]
    return panel * chunks // panels, (panel + 1) * chunks // panels


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
def _pack(linear, bits):  # type: ignore[no-untyped-def]
    """Write the bits of ``linear > 0``; the samples missing from a last chunk get zeros."""
    words = len(bits)
    bits[:] = 0
    for b in range(-(-len(linear) // words)):
        run = linear[b * words : (b + 1) * words]
        for k in range(len(run)):
            bits[k] |= np.uint32(run[k] > 0) << np.uint32(b)


@kernel
def masked(bits, first, source, out):  # type: ignore[no-untyped-def]
    """Compute ``out = mask * source`` for the samples from ``first`` on, a multiple of the number of words."""
    words, shift = len(bits), first // len(bits)
    for b in range(-(-len(source) // words)):
        run, into = source[b * words : (b + 1) * words], out[b * words : (b + 1) * words]
        for k in range(len(run)):
            into[k] = run[k] * np.float32(np.int32((bits[k] >> np.uint32(b + shift)) & np.uint32(1)))


@kernel
def _add_masked(bits, source, out):  # type: ignore[no-untyped-def]
    """Add ``mask * source`` to ``out``."""
    words = len(bits)
    for b in range(-(-len(source) // words)):
        run, into = source[b * words : (b + 1) * words], out[b * words : (b + 1) * words]
        for k in range(len(run)):
            into[k] += run[k] * np.float32(np.int32((bits[k] >> np.uint32(b)) & np.uint32(1)))


@kernel
def _image(data, support, values, chunk, out):  # type: ignore[no-untyped-def]
    """Write a chunk of ``A_S values`` to ``out``."""
    a, _ = samples(data, chunk)
    linear = np.empty_like(out)
    out[:] = 0
    for j in range(len(support.row)):
        p, q = support.start[j], support.start[j + 1]
        combine(data.features, support.col[p:q], values[p:q], a, linear)
        _add_masked(data.bits[support.row[j], chunk], linear, out)


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
def _adjoint(data, support, residual, chunk, out):  # type: ignore[no-untyped-def]
    """Add the part of a chunk of ``A_S^T residual`` to ``out``; ``residual`` is that of the chunk."""
    a, _ = samples(data, chunk)
    seen = np.empty_like(residual)
    for j in range(len(support.row)):
        p, q = support.start[j], support.start[j + 1]
        masked(data.bits[support.row[j], chunk], 0, residual, seen)
        correlate(data.features, support.col[p:q], a, seen, out[p:q])


@kernel
def gates(data, support, values, span):  # type: ignore[no-untyped-def]
    """Write the masks of sparse gate vectors into ``data.bits``, for the chunks of ``span``."""
    for chunk in range(span[0], span[1]):
        a, b = samples(data, chunk)
        linear = np.empty(b - a, data.features.dtype)
        for j in range(len(support.row)):
            p, q = support.start[j], support.start[j + 1]
            combine(data.features, support.col[p:q], values[p:q], a, linear)
            _pack(linear, data.bits[support.row[j], chunk])


@kernel
def forward(data, support, values, out, span):  # type: ignore[no-untyped-def]
    """Write ``A_S values`` to ``out`` ``[n]``, for the chunks of ``span``."""
    for chunk in range(span[0], span[1]):
        a, b = samples(data, chunk)
        _image(data, support, values, chunk, out[a:b])


@kernel
def adjoint(data, support, residual, out, span):  # type: ignore[no-untyped-def]
    """Add ``A_S^T residual`` to ``out`` ``[panels, |S|]``, for the panels of ``span``."""
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(out), panel)
        for chunk in range(first, last):
            a, b = samples(data, chunk)
            _adjoint(data, support, residual[a:b], chunk, out[panel])


@kernel
def normal(data, support, values, out, span):  # type: ignore[no-untyped-def]
    """Add ``A_S^T A_S values`` to ``out`` ``[panels, |S| + 1]``, and ``|A_S values|^2`` to its last column."""
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(out), panel)
        for chunk in range(first, last):
            a, b = samples(data, chunk)
            image = np.empty(b - a, data.features.dtype)
            _image(data, support, values, chunk, image)
            square = 0.0  # float64, since squares of large numbers overflow float32
            for i in range(b - a):
                square += np.float64(image[i]) * np.float64(image[i])
            out[panel, -1] += square
            _adjoint(data, support, image, chunk, out[panel])


@kernel
def combine_four(features, directions, a, out):  # type: ignore[no-untyped-def]
    """Compute ``out[j] = directions[j] . features``: four neurons, samples from ``a`` on, four features at a time."""
    d, n, b = len(features), out.shape[1], a + out.shape[1]
    out[:] = 0
    z0, z1, z2, z3 = out[0], out[1], out[2], out[3]
    for c in range(0, d - d % 4, 4):
        x0, x1, x2, x3 = features[c, a:b], features[c + 1, a:b], features[c + 2, a:b], features[c + 3, a:b]
        h00, h01, h02, h03 = directions[0, c], directions[0, c + 1], directions[0, c + 2], directions[0, c + 3]
        h10, h11, h12, h13 = directions[1, c], directions[1, c + 1], directions[1, c + 2], directions[1, c + 3]
        h20, h21, h22, h23 = directions[2, c], directions[2, c + 1], directions[2, c + 2], directions[2, c + 3]
        h30, h31, h32, h33 = directions[3, c], directions[3, c + 1], directions[3, c + 2], directions[3, c + 3]
        for i in range(n):
            p0, p1, p2, p3 = x0[i], x1[i], x2[i], x3[i]
            z0[i] += h00 * p0 + h01 * p1 + h02 * p2 + h03 * p3
            z1[i] += h10 * p0 + h11 * p1 + h12 * p2 + h13 * p3
            z2[i] += h20 * p0 + h21 * p1 + h22 * p2 + h23 * p3
            z3[i] += h30 * p0 + h31 * p1 + h32 * p2 + h33 * p3
    for c in range(d - d % 4, d):
        x0 = features[c, a:b]
        for j in range(4):
            h, z = directions[j, c], out[j]
            for i in range(n):
                z[i] += h * x0[i]


@kernel
def dense_gates(data, directions, span):  # type: ignore[no-untyped-def]
    """Write the masks of gate vectors ``directions`` ``[t, d]`` into the first rows of ``data.bits``."""
    t, d = directions.shape
    for chunk in range(span[0], span[1]):
        a, b = samples(data, chunk)
        four, linear = np.zeros((4, d), data.features.dtype), np.empty((4, b - a), data.features.dtype)
        for j in range(0, t, 4):
            count = min(4, t - j)
            four[:count] = directions[j : j + count]
            combine_four(data.features, four, a, linear)
            for i in range(count):
                _pack(linear[i], data.bits[j + i, chunk])


@kernel
def correlate_four(features, a, seen, out, count):  # type: ignore[no-untyped-def]
    """Add ``features[c] . seen[j]`` to ``out[j, c]`` for the first ``count`` of four neurons."""
    d, n, b = len(features), seen.shape[1], a + seen.shape[1]
    zero = features.dtype.type(0)
    q0, q1, q2, q3 = seen[0], seen[1], seen[2], seen[3]
    for c in range(0, d - d % 4, 4):
        x0, x1, x2, x3 = features[c, a:b], features[c + 1, a:b], features[c + 2, a:b], features[c + 3, a:b]
        s00, s01, s02, s03, s10, s11, s12, s13 = zero, zero, zero, zero, zero, zero, zero, zero
        s20, s21, s22, s23, s30, s31, s32, s33 = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(n):
            s00, s01, s02, s03 = s00 + q0[i] * x0[i], s01 + q0[i] * x1[i], s02 + q0[i] * x2[i], s03 + q0[i] * x3[i]
            s10, s11, s12, s13 = s10 + q1[i] * x0[i], s11 + q1[i] * x1[i], s12 + q1[i] * x2[i], s13 + q1[i] * x3[i]
            s20, s21, s22, s23 = s20 + q2[i] * x0[i], s21 + q2[i] * x1[i], s22 + q2[i] * x2[i], s23 + q2[i] * x3[i]
            s30, s31, s32, s33 = s30 + q3[i] * x0[i], s31 + q3[i] * x1[i], s32 + q3[i] * x2[i], s33 + q3[i] * x3[i]
        sums = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
        for j in range(count):
            for e in range(4):
                out[j, c + e] += sums[j][e]
    for c in range(d - d % 4, d):
        x0 = features[c, a:b]
        for j in range(count):
            q, total = seen[j], zero
            for i in range(n):
                total += q[i] * x0[i]
            out[j, c] += total


@kernel
def dense_adjoint(data, rows, residual, out, span):  # type: ignore[no-untyped-def]
    """Add ``X^T D_j residual`` of the neurons with mask rows ``rows`` to ``out`` ``[panels, t, d]``."""
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(out), panel)
        for chunk in range(first, last):
            start, stop = samples(data, chunk)
            half = 16 * data.bits.shape[2]  # buffers of four neurons and four features fit into the level-1 cache
            for a in range(start, stop, half):
                b = min(stop, a + half)
                seen = np.zeros((4, b - a), data.features.dtype)
                for j in range(0, len(rows), 4):
                    count = min(4, len(rows) - j)
                    for i in range(count):
                        masked(data.bits[rows[j + i], chunk], a - start, residual[a:b], seen[i])
                    correlate_four(data.features, a, seen, out[panel, j : j + count], count)
