"""Samples of a batch, stored row by row, as features: gathered and transposed in one pass, in vector registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpiht_cli.linalg.jit import kernel
from mlpiht_cli.linalg.loops import vectors
from mlpiht_cli.linalg.simd import lanes, load, load_first, prefetch, store, transpose
from mlpiht_cli.linalg.threads import share

if TYPE_CHECKING:
    from torch import Tensor

BUILT_ON = "66e76f997765c768"
"""Start of the SHA-256 of ``loops.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
SAMPLES = 16
"""Samples that are transposed at a time, the lanes of the widest vector of float32."""

AHEAD = 512
"""Bytes of a row that are asked for before they are needed; the processor itself goes on with the rest of a row."""


@kernel
def _narrow(x, order, i, tiles, out):  # type: ignore[no-untyped-def]
    """Transpose samples with fewer features than a vector has lanes by way of two square tiles."""
    step, (wide, turned, rows) = lanes(x), tiles
    for e in range(step):
        store(load_first(x, order[i + e], 0, len(out)), wide, e, 0)
    transpose(wide, rows, (0, 0), turned)
    for c in range(len(out)):
        store(load(turned, c, 0), out, c, i)


@kernel
def _gather(x, order, out, span):  # type: ignore[no-untyped-def]
    """Write ``x[order].T`` to ``out``, for blocks of samples."""
    d, b, step = len(out), out.shape[1], lanes(x)
    tiles = vectors(step, x), vectors(step, x), np.arange(step)
    for block in range(span[0], span[1]):
        first, last = block * SAMPLES, min(b, (block + 1) * SAMPLES)
        for i in range(last, min(b, last + SAMPLES)):  # they would be waited for at random places of the memory
            for c in range(0, min(d, AHEAD // x.itemsize), 64 // x.itemsize):
                prefetch(x, order[i], c)
        if b < step:
            for i in range(b):
                out[:, i] = x[order[i]]
        elif d < step:
            for i in range(first, last, step):
                _narrow(x, order, min(i, b - step), tiles, out)
        else:
            for c in range(0, d, step):  # the last vectors overlap those before, unless they fit
                for i in range(first, last, step):
                    transpose(x, order, (min(i, b - step), min(c, d - step)), out)


def gather(x: Tensor, order: Tensor, out: Tensor) -> Tensor:
    """Write ``x[order].T`` ``[d, b]`` to ``out``, and return it; ``x`` is ``[n, d]``, all contiguous on the CPU."""
    share(_gather, -(-out.shape[1] // SAMPLES), x.numpy(), order.numpy(), out.numpy())
    return out
