"""Parts of the products of a gated ReLU operator with sparse weights, for one chunk of samples; see :mod:`.kernels`.

The columns that the weights use are first copied to a *page* ``[columns, size]`` that stays in the cache, filled up
with zeros to whole blocks. A block is four vectors of samples; its sums stay in registers while all neurons pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.jit import inlined, kernel
from mlpiht_cli.linalg.loops import aligned, products, store_block
from mlpiht_cli.linalg.simd import (
    add,
    add_kept,
    fma,
    keep,
    lanes,
    load,
    load_first,
    positive,
    splat,
    store,
    subtract,
)
from mlpiht_cli.linalg.simd_layers import add_halves, add_totals

Floats = NDArray[Any]
BUILT_ON = "66e76f997765c768"
"""Start of the SHA-256 of ``loops.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
PAGE_BYTES = 2**19
"""Size of a page; half of a level-2 cache, since masks and sums have to fit in as well."""


class Masked(NamedTuple):
    """Features ``[d, n]``, the masks that select samples, and the samples of a chunk, a multiple of 64."""

    features: Floats
    words: NDArray[np.uint64]
    chunk: int


class Support(NamedTuple):
    """Coordinates by neuron: neuron ``j`` has ``col[start[j]:start[j + 1]]`` and the mask ``row[j]``.

    ``used`` are the columns that occur, ascending, and ``col`` counts among these.
    """

    start: NDArray[np.int64]
    col: NDArray[np.int64]
    row: NDArray[np.int64]
    used: NDArray[np.int64]


class Weighted(NamedTuple):
    """Coordinates and their values."""

    support: Support
    values: Floats


class Page(NamedTuple):
    """Used columns of some samples, a multiple of 64, and the masks of these samples."""

    x: Floats
    words: NDArray[np.uint64]
    size: int


class Target(NamedTuple):
    """Targets ``[n]``, and the residual ``[n]`` that a kernel writes."""

    y: Floats
    residual: Floats


@kernel
def samples(data, chunk):  # type: ignore[no-untyped-def]
    """Return the first sample of a chunk and the end (excluded)."""
    return chunk * data.chunk, min(data.features.shape[1], (chunk + 1) * data.chunk)


@kernel
def panel_chunks(data, panels, panel):  # type: ignore[no-untyped-def]
    """Return the first chunk of a panel and the end (excluded)."""
    count = -(-data.features.shape[1] // data.chunk)
    return panel * count // panels, (panel + 1) * count // panels


@kernel
def new_page(data, rows, entries):  # type: ignore[no-untyped-def]
    """Return memory for a page and, with ``rows`` above its columns, for more; shorter than a chunk if these are many.

    It takes at most a quarter of the features' memory, and leaves room for the sums of so many ``entries``.
    """
    limit = min(PAGE_BYTES, data.features.size * data.features.itemsize // 4)
    room = max(limit // 4, limit - 32 * entries)
    most = room // (64 * data.features.itemsize * max(1, rows))
    return aligned(rows, min(data.chunk, 64 * max(1, most)), data.features)


@kernel
def fill(data, used, span, memory):  # type: ignore[no-untyped-def]
    """Copy the used columns of the samples of ``span`` to a page."""
    x, step, (a, b) = data.features, lanes(data.features), span
    whole, filled = b - (b - a) % step, -(-(b - a) // 64) * 64
    for c in range(len(used)):
        for i in range(a, whole, step):
            store(load(x, used[c], i), memory, c, i - a)
        if whole < b:
            store(load_first(x, used[c], whole, b - whole), memory, c, whole - a)
        for i in range(-(-b // step) * step - a, filled, step):
            store(splat(x.dtype.type(0)), memory, c, i)
    return Page(memory, data.words[a // 64 :], filled)


@inlined
def _linear(page, part, j, i):  # type: ignore[no-untyped-def]
    """Return ``X w_j`` of the block of samples from ``i`` on, as four vectors."""
    x, step = page.x, lanes(page.x)
    z0 = z1 = z2 = z3 = splat(x.dtype.type(0))
    for e in range(part.support.start[j], part.support.start[j + 1]):
        c, v = part.support.col[e], splat(part.values[e])
        z0, z1 = fma(v, load(x, c, i), z0), fma(v, load(x, c, i + step), z1)
        z2, z3 = fma(v, load(x, c, i + 2 * step), z2), fma(v, load(x, c, i + 3 * step), z3)
    return z0, z1, z2, z3


@inlined
def image(page, part, i):  # type: ignore[no-untyped-def]
    """Return a block of ``A_S values``."""
    step = lanes(page.x)
    y0 = y1 = y2 = y3 = splat(page.x.dtype.type(0))
    for j in range(len(part.support.row)):
        z0, z1, z2, z3 = _linear(page, part, j, i)
        word, first = page.words[i // 64, part.support.row[j]], i % 64
        y0, y1 = add_kept(y0, z0, word, first), add_kept(y1, z1, word, first + step)
        y2, y3 = add_kept(y2, z2, word, first + 2 * step), add_kept(y3, z3, word, first + 3 * step)
    return y0, y1, y2, y3


@inlined
def correlate_block(page, support, i, four, sums):  # type: ignore[no-untyped-def]
    """Add the products of a block of a residual with the columns of the support to ``sums`` ``[|S|, lanes / 2]``."""
    x, step, zero = page.x, lanes(page.x), splat(page.x.dtype.type(0))
    for j in range(len(support.row)):
        word, first = page.words[i // 64, support.row[j]], i % 64
        q0, q1 = keep(four[0], word, first), keep(four[1], word, first + step)
        q2, q3 = keep(four[2], word, first + 2 * step), keep(four[3], word, first + 3 * step)
        for e in range(support.start[j], support.start[j + 1]):
            c = support.col[e]
            even, odd = fma(q0, load(x, c, i), zero), fma(q1, load(x, c, i + step), zero)
            even = fma(q2, load(x, c, i + 2 * step), even)
            odd = fma(q3, load(x, c, i + 3 * step), odd)
            add_halves(add(even, odd), sums, e)


@kernel
def flush(sums, out):  # type: ignore[no-untyped-def]
    """Add sums of half vectors to ``out`` ``[|S|]``, float64, and set them to zero."""
    for e in range(len(out)):
        for i in range(sums.shape[1]):
            out[e] += sums[e, i]
            sums[e, i] = 0


@kernel
def open_gates(page, gate):  # type: ignore[no-untyped-def]
    """Write the masks of sparse gate vectors for the samples of a page."""
    step = lanes(page.x)
    for first in range(0, page.size, 64):
        for j in range(len(gate.support.row)):
            word = np.uint64(0)
            for shift in range(0, 64, 4 * step):
                z0, z1, z2, z3 = _linear(page, gate, j, first + shift)
                word |= positive(z0, shift) | positive(z1, shift + step)
                word |= positive(z2, shift + 2 * step) | positive(z3, shift + 3 * step)
            page.words[first // 64, gate.support.row[j]] = word


@kernel
def descend_page(page, part, target, span, sums):  # type: ignore[no-untyped-def]
    """Write ``A_S values - y`` of the samples of ``span``, and add its products with the columns to ``sums``."""
    (a, b), y, step = span, target.y, lanes(page.x)
    for i in range(0, page.size, 4 * step):
        if a + i >= b:
            break
        at, count = a + i, b - a - i
        y0, y1, y2, y3 = image(page, part, i)
        r0 = subtract(y0, load_first(y, 0, at, count))
        r1 = subtract(y1, load_first(y, 0, at + step, count - step))
        r2 = subtract(y2, load_first(y, 0, at + 2 * step, count - 2 * step))
        r3 = subtract(y3, load_first(y, 0, at + 3 * step, count - 3 * step))
        store_block((r0, r1, r2, r3), target.residual, (0, at), count)
        if len(sums):
            correlate_block(page, part.support, i, (r0, r1, r2, r3), sums)


@kernel
def gram_page(page, support, columns, out):  # type: ignore[no-untyped-def]
    """Add the part of a page of ``A_S^T A_S`` to the lower triangle of ``out``, in blocks of four.

    ``columns`` is memory for the columns of the operator, zero past the last one.
    """
    step = lanes(page.x)
    for j in range(len(support.row)):
        for e in range(support.start[j], support.start[j + 1]):
            for i in range(0, page.size, step):
                x = load(page.x, support.col[e], i)
                store(keep(x, page.words[i // 64, support.row[j]], i % 64), columns, e, i)
    size, flat = len(columns), out.reshape(out.size)
    for j in range(0, size, 4):
        for c in range(0, j + 1, 4):
            s0, s1, s2, s3 = products(columns, (c, c + 1, c + 2, c + 3), (j, j + 1, j + 2, j + 3), page.size)
            add_totals(s0 + s1 + s2 + s3, flat, j * size + c, (4, 4, size))
