"""Compiled residual, gradient and columns of a fused ReLU network with few weights and a linear part.

``yhat = sum_j sign_j relu(w_j . x) + c . x``. The gates are the weights themselves, so masks exist for one chunk of
samples at a time. As in :mod:`~mlpiht_cli.linalg.kernels`, features are stored feature by feature, and sums have the
dtype of the features within a chunk and float64 over chunks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.jit import kernel
from mlpiht_cli.linalg.loops import combine, correlate
from mlpiht_cli.linalg.threads import PANELS, share

BUILT_ON = "66e76f997765c768"
"""Start of the SHA-256 of ``loops.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
CHUNK = 1024
"""Samples of a chunk: a hundred features of it and the masks of two hundred neurons fit into the level-2 cache."""


class Data(NamedTuple):
    """Features ``[d, n]`` and targets ``[n]``."""

    features: NDArray[Any]
    targets: NDArray[Any]


class Rows(NamedTuple):
    """Weights row by row: row ``j`` has ``values[start[j]:start[j + 1]]`` in the columns ``col`` of the same places.

    ``sign`` holds the output sign of each row's neuron, in the dtype of the features; 0 marks the linear part.
    """

    start: NDArray[np.int64]
    col: NDArray[np.int64]
    values: NDArray[Any]
    sign: NDArray[Any]


@kernel
def _left(data, rows, place, active, out):  # type: ignore[no-untyped-def]
    """Write targets minus predictions of a chunk to ``out``, and whether neurons are active to ``active`` if given.

    ``place`` is the first sample. ``active`` is bool ``[rows, samples]``, or has no rows.
    """
    n = len(out)
    linear = np.empty_like(out)
    for i in range(n):
        out[i] = data.targets[place + i]
    for j in range(len(rows.sign)):
        p, q, sign = rows.start[j], rows.start[j + 1], rows.sign[j]
        combine(data.features, rows.col[p:q], rows.values[p:q], place, linear)
        if sign == 0:
            for i in range(n):
                out[i] -= linear[i]
        else:
            for i in range(n):
                out[i] -= sign * max(linear[i], 0)
        if len(active):
            on = active[j]
            for i in range(n):
                on[i] = linear[i] > 0


@kernel
def residual(data, rows, out, span):  # type: ignore[no-untyped-def]
    """Write targets minus predictions to ``out`` ``[n]``, for the chunks of ``span``."""
    unused = np.empty((0, 0), np.bool_)
    for a in range(span[0] * CHUNK, min(len(out), span[1] * CHUNK), CHUNK):
        _left(data, rows, a, unused, out[a : a + CHUNK])


@kernel
def gradient(data, rows, out, span):  # type: ignore[no-untyped-def]
    """Add ``A^T r`` for the rows' entries and, last, ``|r|^2`` to ``out`` ``[panels, entries + 1]``.

    ``r`` is targets minus predictions, ``A`` its negative derivative. ``span`` holds panels.
    """
    n = len(data.targets)
    chunks = -(-n // CHUNK)
    for panel in range(span[0], span[1]):
        last = min(n, (panel + 1) * chunks // len(out) * CHUNK)
        for a in range(panel * chunks // len(out) * CHUNK, last, CHUNK):
            size = min(CHUNK, n - a)
            left, seen = np.empty(size, data.features.dtype), np.empty(size, data.features.dtype)
            active = np.empty((len(rows.sign), size), np.bool_)
            _left(data, rows, a, active, left)
            square = 0.0
            for i in range(size):
                square += np.float64(left[i]) * np.float64(left[i])
            out[panel, -1] += square
            for j in range(len(rows.sign)):
                p, q, sign, on = rows.start[j], rows.start[j + 1], rows.sign[j], active[j]
                for i in range(size):
                    seen[i] = left[i] if sign == 0 else sign * left[i] * on[i]
                correlate(data.features, rows.col[p:q], a, seen, out[panel, p:q])


@kernel
def columns(data, rows, first, out, span):  # type: ignore[no-untyped-def]
    """Write columns of ``A`` to ``out`` ``[entries, samples]``, from sample ``first`` on, for the rows of ``span``."""
    linear = np.empty(min(CHUNK, out.shape[1]), out.dtype)
    for start in range(0, out.shape[1], CHUNK):
        stop = min(out.shape[1], start + CHUNK)
        a, z = first + start, linear[: stop - start]
        for j in range(span[0], span[1]):
            p, q, sign = rows.start[j], rows.start[j + 1], rows.sign[j]
            combine(data.features, rows.col[p:q], rows.values[p:q], a, z)
            for i in range(stop - start):
                z[i] = 1 if sign == 0 else (sign if z[i] > 0 else 0)
            for c in range(p, q):
                source, into = data.features[rows.col[c], a : a + stop - start], out[c, start:stop]
                for i in range(stop - start):
                    into[i] = source[i] * z[i]


class ReluProducts:
    """Products of a network with its data.

    Parameters
    ----------
    features, targets
        Inputs *feature by feature*, ``[d, n]``, contiguous, and targets ``[n]`` in the same dtype.
    """

    def __init__(self, features: NDArray[Any], targets: NDArray[Any]) -> None:
        self._data = Data(features, targets)
        self._chunks = -(-len(targets) // CHUNK)

    def residual(self, rows: Rows) -> NDArray[Any]:
        """Return targets minus predictions, ``[n]``."""
        out = np.empty_like(self._data.targets)
        share(residual, self._chunks, self._data, rows, out)
        return out

    def gradient(self, rows: Rows) -> tuple[NDArray[np.float64], float]:
        """Return half the negative gradient of the sum of squares for the rows' entries, float64, and that sum."""
        out = np.zeros((max(1, min(PANELS, self._chunks)), len(rows.col) + 1))
        share(gradient, len(out), self._data, rows, out)
        total = out.sum(axis=0)
        return total[:-1], float(total[-1])

    def columns(self, rows: Rows, run: slice) -> NDArray[Any]:
        """Return the derivatives of the predictions of a run in the rows' entries, ``[entries, samples]``."""
        out = np.empty((len(rows.col), run.stop - run.start), self._data.features.dtype)
        share(columns, len(rows.sign), self._data, rows, run.start, out)
        return out
