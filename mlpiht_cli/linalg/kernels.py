"""Compiled products of the gated ReLU operator, fused and blocked over samples; each call does the share of a thread.

Features are stored feature by feature (``X^T``, ``[d, n]``). A kernel takes one chunk of samples at a time and does all
of its work there while the features of the chunk stay in the cache: no float array of ``n x s`` or ``n x m`` numbers
exists. Masks are bits, ``uint64 [words, rows]``: bit ``b`` of word ``w`` belongs to sample ``64 w + b``.

Sums over samples have the dtype of the features within a chunk, and float64 over chunks. Every array of sums has one
row per *panel*, a fixed share of the chunks. Threads take whole panels, so a result does not depend on their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.blocks import (
    Weighted,
    correlate_block,
    descend_page,
    fill,
    flush,
    gram_page,
    image,
    new_page,
    open_gates,
    panel_chunks,
    samples,
)
from mlpiht_cli.linalg.jit import kernel
from mlpiht_cli.linalg.loops import aligned, combine_four, correlate_four, half_vectors, store_block
from mlpiht_cli.linalg.simd import fma, keep, lanes, load_first, positive, splat, square, store_first

BUILT_ON = "7d643ca1ffafed8e"
"""Start of the SHA-256 of ``blocks.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""


class Sums(NamedTuple):
    """Sums that a kernel adds to, one row per panel; those without entries are not computed.

    Attributes
    ----------
    sparse
        ``A_S^T residual``, ``[panels, |S|]``.
    gram
        Lower triangle of ``A_S^T A_S``, ``[panels, size, size]``, with |S| rounded up to a multiple of 4.
    dense
        ``X^T D_j residual`` of the neurons with the mask rows ``rows``, ``[panels, t, d]``.
    """

    sparse: NDArray[np.float64]
    gram: NDArray[np.float64]
    dense: NDArray[np.float64]
    rows: NDArray[np.int64]


@kernel
def gates(data, gate, span):  # type: ignore[no-untyped-def]
    """Write the masks of sparse gate vectors into ``data.words``, for the chunks of ``span``."""
    memory = new_page(data, len(gate.support.used), 0)
    for chunk in range(span[0], span[1]):
        start, stop = samples(data, chunk)
        for a in range(start, stop, memory.shape[1]):
            open_gates(fill(data, gate.support.used, (a, min(stop, a + memory.shape[1])), memory), gate)


@kernel
def forward(data, part, out, span):  # type: ignore[no-untyped-def]
    """Write ``A_S values`` to ``out`` ``[n]``, for the chunks of ``span``."""
    memory, size = new_page(data, len(part.support.used), 0), 4 * lanes(data.features)
    for chunk in range(span[0], span[1]):
        start, stop = samples(data, chunk)
        for a in range(start, stop, memory.shape[1]):
            b = min(stop, a + memory.shape[1])
            page = fill(data, part.support.used, (a, b), memory)
            for i in range(0, b - a, size):
                store_block(image(page, part, i), out, (0, a + i), b - a - i)


@kernel
def normal(data, part, out, span):  # type: ignore[no-untyped-def]
    """Add ``A_S^T A_S values`` to ``out`` ``[panels, |S| + 1]``, and ``|A_S values|^2`` to its last column."""
    memory, size = new_page(data, len(part.support.used), out.shape[1]), 4 * lanes(data.features)
    sums = half_vectors(out.shape[1] - 1, data.features)
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(out), panel)
        for chunk in range(first, last):
            start, stop = samples(data, chunk)
            for a in range(start, stop, memory.shape[1]):
                b = min(stop, a + memory.shape[1])
                page = fill(data, part.support.used, (a, b), memory)
                for i in range(0, b - a, size):
                    four = image(page, part, i)
                    out[panel, -1] += square(four[0]) + square(four[1]) + square(four[2]) + square(four[3])
                    correlate_block(page, part.support, i, four, sums)
            flush(sums, out[panel, :-1])


@kernel
def descend(data, fit, gate, sums, span):  # type: ignore[no-untyped-def]
    """Write the residual, and add to the sums that are asked for, in one pass over the data; ``span`` are panels.

    ``fit`` are the weights and the target; ``gate`` are the values of gate vectors on the same support, whose masks are
    written before, or empty.
    """
    part, target = fit
    support = part.support
    memory = new_page(data, len(support.used) + sums.gram.shape[1], sums.sparse.shape[1])
    sparse, columns = half_vectors(sums.sparse.shape[1], data.features), memory[len(support.used) :]
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(sums.sparse), panel)
        for chunk in range(first, last):
            start, stop = samples(data, chunk)
            for a in range(start, stop, memory.shape[1]):
                b = min(stop, a + memory.shape[1])
                page = fill(data, support.used, (a, b), memory)
                if len(gate):
                    open_gates(page, Weighted(support, gate))
                descend_page(page, part, target, (a, b), sparse)
                if len(columns):
                    gram_page(page, support, columns, sums.gram[panel])
            flush(sparse, sums.sparse[panel])
            if len(sums.rows):
                _adjoint(data, sums.rows, target.residual, (start, stop), sums.dense[panel])


@kernel
def masked(data, row, a, source, out):  # type: ignore[no-untyped-def]
    """Compute ``out = mask * source`` for the samples from ``a`` on; ``row`` is that of the mask. Nan stays nan."""
    step, zero = lanes(source), splat(source.dtype.type(0))
    for i in range(0, len(out), step):
        count = len(out) - i
        value = load_first(source, 0, i, count)
        kept = keep(value, data.words[(a + i) // 64, row], (a + i) % 64)
        store_first(fma(value, zero, kept), out, (0, i), count)


@kernel
def _adjoint(data, rows, residual, span, out):  # type: ignore[no-untyped-def]
    """Add the part of some samples of ``X^T D_j residual`` to ``out`` ``[t, d]``, for the mask rows ``rows``."""
    a, b = span
    seen = aligned(4, b - a, data.features)
    for j in range(0, len(rows), 4):
        count = min(4, len(rows) - j)
        for i in range(count):
            masked(data, rows[j + i], a, residual[a:b], seen[i])
        correlate_four(data.features, a, seen, out[j : j + count], count)


@kernel
def dense_adjoint(data, rows, residual, out, span):  # type: ignore[no-untyped-def]
    """Add ``X^T D_j residual`` of the neurons with mask rows ``rows`` to ``out`` ``[panels, t, d]``."""
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(out), panel)
        for chunk in range(first, last):
            _adjoint(data, rows, residual, samples(data, chunk), out[panel])


@kernel
def _pack(data, row, a, linear):  # type: ignore[no-untyped-def]
    """Write the bits of ``linear > 0`` to a mask, for the samples from ``a`` on."""
    n, step = len(linear), lanes(linear)
    for first in range(0, n, 64):
        word = np.uint64(0)
        for i in range(first, min(n, first + 64), step):
            word |= positive(load_first(linear, 0, i, n - i), i - first)
        data.words[(a + first) // 64, row] = word


@kernel
def dense_gates(data, directions, span):  # type: ignore[no-untyped-def]
    """Write the masks of gate vectors ``directions`` ``[t, d]`` into the first columns of ``data.words``."""
    t, d = directions.shape
    four, linear = np.zeros((4, d), data.features.dtype), aligned(4, data.chunk, data.features)
    for chunk in range(span[0], span[1]):
        a, b = samples(data, chunk)
        for j in range(0, t, 4):
            count = min(4, t - j)
            for i in range(count):
                for c in range(d):  # a slice would compile the message for slices that differ
                    four[i, c] = directions[j + i, c]
            combine_four(data.features, four, a, linear[:, : b - a])
            for i in range(count):
                _pack(data, j + i, a, linear[i, : b - a])
