"""Compiled products of a network with several outputs, fused and blocked over samples; see :mod:`.kernels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.blocks import PAGE_BYTES, Masked, fill, panel_chunks, samples
from mlpiht_cli.linalg.compiled import CompiledOperator
from mlpiht_cli.linalg.gates import GateRule
from mlpiht_cli.linalg.jit import kernel
from mlpiht_cli.linalg.kernels import masked
from mlpiht_cli.linalg.loops import aligned, combine, combine_four, correlate_four, products
from mlpiht_cli.linalg.simd import lanes, prefetch
from mlpiht_cli.linalg.simd_layers import add_totals
from mlpiht_cli.linalg.threads import PANELS, share
from mlpiht_cli.linalg.vector import Neurons, VectorProducts, Weights

if TYPE_CHECKING:
    from torch import Tensor

BUILT_ON = "a204480b6b54afe5"
"""Start of the SHA-256 of ``kernels.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
DENSE_SHARE = 0.45
"""Share of nonzero entries of a tile's hidden weights from which on dense loops are faster."""


class Support(NamedTuple):
    """Coordinates by neuron: neuron ``j`` has the columns ``col[start[j]:start[j + 1]]`` and the mask ``row[j]``."""

    start: NDArray[np.int64]
    col: NDArray[np.int64]
    row: NDArray[np.int64]


class Tile(NamedTuple):
    """Hidden weights of a tile, dense ``[t, d]`` or as the values of ``support``, and output weights ``[t, k]``.

    ``relu``: each gate is the neuron's own hidden weights, so that no masks are needed.
    """

    support: Support
    values: NDArray[Any]
    hidden: NDArray[Any]
    output: NDArray[Any]
    dense: bool
    relu: bool


@kernel
def _activate(data, tile, j, a, linear):  # type: ignore[no-untyped-def]
    """Turn ``X w1`` of a neuron into its activations, for the samples from ``a`` on."""
    if tile.relu:
        for i in range(len(linear)):
            linear[i] = max(linear[i], 0)
    else:
        masked(data, tile.support.row[j], a, linear, linear)


@kernel
def predict(data, tile, out, span):  # type: ignore[no-untyped-def]
    """Add ``sum_j mask_j (X w1_j) w2_j`` over the neurons of a sparse tile to ``out`` ``[k, n]``."""
    for chunk in range(span[0], span[1]):
        a, b = samples(data, chunk)
        active = np.empty(b - a, data.features.dtype)
        for j in range(len(tile.output)):
            p, q = tile.support.start[j], tile.support.start[j + 1]
            combine(data.features, tile.support.col[p:q], tile.values[p:q], a, active)
            _activate(data, tile, j, a, active)
            for c in range(len(out)):
                value, row = tile.output[j, c], out[c, a:b]
                if value != 0:
                    for i in range(b - a):
                        row[i] += value * active[i]


@kernel
def _linear(features, tile, j, a, out):  # type: ignore[no-untyped-def]
    """Write ``X w1`` of the neurons from ``j`` on, at most four, to the rows of ``out``; samples from ``a`` on."""
    count = min(4, len(tile.output) - j)
    if tile.dense:
        four = np.zeros((4, len(features)), features.dtype)
        four[:count] = tile.hidden[j : j + count]
        combine_four(features, four, a, out)
        return
    for i in range(count):
        p, q = tile.support.start[j + i], tile.support.start[j + i + 1]
        combine(features, tile.support.col[p:q], tile.values[p:q], a, out[i])


@kernel
def _back(data, tile, j, a, flows):  # type: ignore[no-untyped-def]
    """Close the samples that the neuron's gate closes in the second of ``flows``; the first are its activations."""
    active, out = flows
    if tile.relu:
        for i in range(len(out)):
            out[i] = out[i] if active[i] > 0 else 0
    else:
        masked(data, tile.support.row[j], a, out, out)


@kernel
def _part(data, tile, residual, span, flows):  # type: ignore[no-untyped-def]
    """Copy what flows back to each neuron to a page, and add the gradients of the output weights to the sums."""
    (a, b), (page, out) = span, flows
    d, kind, rows = len(data.features), data.features.dtype, np.arange(4)
    active, back, output = np.empty((4, b - a), kind), np.empty((4, b - a), kind), np.zeros((4, len(residual)), kind)
    for j in range(0, len(tile.output), 4):
        count = min(4, len(tile.output) - j)
        output[:count] = tile.output[j : j + count]
        _linear(data.features, tile, j, a, active)
        combine_four(residual, output, a, back)
        for i in range(count):
            _activate(data, tile, j + i, a, active[i])
            _back(data, tile, j + i, a, (active[i], back[i]))
        correlate_four(residual, a, active, out[j : j + count, d:], count)
        fill(Masked(back, data.words, data.chunk), rows, (0, b - a), page[j : j + 4])


@kernel
def _correlate(data, span, page, out):  # type: ignore[no-untyped-def]
    """Add the products of all features with what flows back to the neurons, so that each feature is read once.

    The last four rows of ``page`` have room for features. All sums have the same order, so equal features have equal
    sums and a tie stays a tie.
    """
    d, last, step = len(data.features), len(page) - 4, lanes(page)
    size, flat = -(-(span[1] - span[0]) // step) * step, out.reshape(out.size)
    is_far = d * size * page.itemsize > PAGE_BYTES  # then the next features are asked for while all neurons pass
    for c in range(0, d, 4):
        fill(data, np.minimum(np.arange(c, c + 4), d - 1), span, page[last:])
        for j in range(0, last, 4):
            for i in range(j * size // last, (j + 4) * size // last if is_far else 0, step):
                for e in range(4):
                    prefetch(data.features, min(c + 4 + e, d - 1), span[0] + i)
            s0, s1, s2, s3 = products(page, (last, last + 1, last + 2, last + 3), (j, j + 1, j + 2, j + 3), size)
            shape = min(4, len(out) - j), min(4, d - c), out.shape[1]
            add_totals(s0 + s1 + s2 + s3, flat, j * out.shape[1] + c, shape)


@kernel
def slopes(data, tile, residual, out, span):  # type: ignore[no-untyped-def]
    """Add the gradients of a tile to ``out`` ``[panels, t, d + k]``, for the panels of ``span``."""
    page = aligned(-(-len(tile.output) // 4) * 4 + 4, data.chunk, data.features)
    for panel in range(span[0], span[1]):
        first, last = panel_chunks(data, len(out), panel)
        for chunk in range(first, last):
            part = samples(data, chunk)
            _part(data, tile, residual, part, (page, out[panel]))
            _correlate(data, part, page, out[panel])


class CompiledVectorProducts(VectorProducts):
    """Products of :class:`VectorProducts` in compiled kernels: activations exist for one chunk of samples at a time.

    ``relu``: the gates are the hidden weights before the step. A tile is then taken to have these weights, unless it is
    ``revived``.
    """

    def __init__(self, features: Tensor, operator: CompiledOperator, relu: bool) -> None:
        super().__init__(features, operator)
        self._x, self._relu, self._chunks = features.numpy(), relu, operator.chunks
        self._words, self._data, self._none = operator.words, operator.data, operator.empty(0)
        self._made: tuple[Neurons, Tile] | None = None

    def predict(self, weights: Weights) -> Tensor:
        """Return the predictions of the network, ``[k, b]``."""
        out = np.zeros((weights.output.cols, self._x.shape[1]), self._x.dtype)
        for neurons in weights.tiles():
            data, row = self._masks(neurons, self._relu)
            tile = self._tile(neurons, row, self._relu)._replace(dense=False)
            share(predict, self._chunks, data, tile, out)
        return torch.from_numpy(out)

    def slopes(self, tile: Neurons, residual: Tensor) -> Tensor:
        """Return the gradients of a tile, float64 ``[t, d + k]``; neurons that no sample opens cost nothing."""
        relu = self._relu and not tile.revived
        data, row = self._masks(tile, relu)
        live = np.arange(len(row)) if relu else np.flatnonzero(data.words[:, row].any(axis=0))
        some = tile if len(live) == len(row) else tile.take(torch.from_numpy(live))
        out = np.zeros((min(PANELS, self._chunks), len(live), len(self._x) + len(residual)))
        if len(live):
            weights = self._tile(some, row[live], relu)
            share(slopes, len(out), data, weights, residual.contiguous().numpy(), out)
        if some is tile:
            return torch.from_numpy(out.sum(axis=0))
        total = np.zeros((len(row), out.shape[2]))
        total[live] = out.sum(axis=0)
        return torch.from_numpy(total)

    def _masks(self, tile: Neurons, relu: bool) -> tuple[Masked, NDArray[np.int64]]:
        """Return masks, and the row of each neuron's mask; none are computed if they are not needed."""
        words, row = (self._none, np.zeros(len(tile.ids), np.int64)) if relu else self._words(tile.ids)
        return self._data(words), row

    def _tile(self, neurons: Neurons, row: NDArray[np.int64], relu: bool) -> Tile:
        """Return a tile for the kernels, the same for the same neurons; ``row`` are the rows of the neurons' masks."""
        if self._made is None or self._made[0] is not neurons:
            hidden, output = neurons.hidden.numpy(), neurons.output.numpy()
            where, col = np.nonzero(hidden)
            start = np.searchsorted(where, np.arange(len(hidden) + 1))
            support, dense = Support(start, np.ascontiguousarray(col), row), len(col) >= DENSE_SHARE * hidden.size
            self._made = neurons, Tile(support, hidden[where, col], hidden, output, dense, relu)
        return self._made[1]


def compiled_products(features: Tensor, gates: GateRule, weights: Weights) -> CompiledVectorProducts:
    """Return the products of a batch; ``weights`` are those before the step."""
    operator = CompiledOperator(features, gates, weights.hidden.rows)
    return CompiledVectorProducts(features, operator, gates.follows(weights.hidden))
