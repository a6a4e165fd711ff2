"""Compiled loss and gradient of a ReLU network whose layers are sparse or dense, fused over chunks of samples.

As in :mod:`~mlpiht_cli.linalg.kernels`, features and activations are stored unit by unit. A chunk passes forward and
back through all layers while it is in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.jit import kernel
from mlpiht_cli.linalg.loops import combine, combine_four, correlate, correlate_four
from mlpiht_cli.linalg.threads import PANELS, share

BUILT_ON = "83d7c7dfaff1a9e9"
"""Start of the SHA-256 of ``loops.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
PANEL_NUMBERS = 2**19
"""Largest total size of the panels of a sum, in numbers; bounds the memory for the gradients of a wide network."""
DENSE_SHARE = 0.45
"""Share of nonzero entries of a layer above which dense products are faster."""


_NONE = np.empty(0, dtype=np.int64)


class Layer(NamedTuple):
    """A weight matrix ``[rows, cols]`` stored row by row; its values start at ``place`` in an array for all layers.

    A dense layer stores all entries. In a sparse layer, row ``j`` has the columns ``col[start[j]:start[j + 1]]``.
    """

    start: NDArray[np.int64]
    col: NDArray[np.int64]
    place: int
    rows: int
    cols: int
    dense: bool


class Network(NamedTuple):
    """Layers, input side first; transposes of all layers except the first; layouts of the layers' gradients."""

    layers: tuple[Layer, ...]
    backs: tuple[Layer, ...]
    gradients: tuple[Layer, ...]
    classes: bool  # cross-entropy of classes rather than squared error


class Batch(NamedTuple):
    """Samples ``first`` to ``first + size - 1`` of features ``[d, n]`` and targets ``[k, n]``, split into chunks."""

    features: NDArray[Any]
    targets: NDArray[Any]
    first: int
    size: int
    chunk: int


@kernel
def _product(source, a, layer, values, out):  # type: ignore[no-untyped-def]
    """Compute ``out = W source`` for the samples from ``a`` on; ``out`` is ``[rows, samples]``."""
    if not layer.dense:
        for j in range(layer.rows):
            p, q = layer.start[j], layer.start[j + 1]
            combine(source, layer.col[p:q], values[layer.place + p : layer.place + q], a, out[j])
        return
    weights = values[layer.place : layer.place + layer.rows * layer.cols].reshape((layer.rows, layer.cols))
    full = layer.rows - layer.rows % 4
    for j in range(0, full, 4):
        combine_four(source, weights[j : j + 4], a, out[j : j + 4])
    if full < layer.rows:
        four, linear = np.zeros((4, layer.cols), out.dtype), np.empty((4, out.shape[1]), out.dtype)
        four[: layer.rows - full] = weights[full:]
        combine_four(source, four, a, linear)
        out[full:] = linear[: layer.rows - full]


@kernel
def _gradient(source, a, layer, slopes, out):  # type: ignore[no-untyped-def]
    """Add the gradient of a layer's weights to ``out``; ``slopes`` ``[rows, samples]`` is that of its outputs."""
    if not layer.dense:
        for j in range(layer.rows):
            p, q = layer.start[j], layer.start[j + 1]
            correlate(source, layer.col[p:q], a, slopes[j], out[layer.place + p : layer.place + q])
        return
    grid = out[layer.place : layer.place + layer.rows * layer.cols].reshape((layer.rows, layer.cols))
    full = layer.rows - layer.rows % 4
    for j in range(0, full, 4):
        correlate_four(source, a, slopes[j : j + 4], grid[j : j + 4], 4)
    if full < layer.rows:
        four = np.zeros((4, slopes.shape[1]), slopes.dtype)
        four[: layer.rows - full] = slopes[full:]
        correlate_four(source, a, four, grid[full:], layer.rows - full)


@kernel
def _relu(values):  # type: ignore[no-untyped-def]
    for j in range(len(values)):
        row = values[j]
        for i in range(len(row)):
            row[i] = max(row[i], 0)


@kernel
def _masked(slopes, active):  # type: ignore[no-untyped-def]
    for j in range(len(slopes)):
        row, on = slopes[j], active[j]
        for i in range(len(row)):
            row[i] = row[i] if on[i] > 0 else 0


@kernel
def _residual(targets, a, prediction, classes):  # type: ignore[no-untyped-def]
    """Replace predictions ``[k, samples]`` by the gradient of half the squared error, or of the cross-entropy.

    Returns the loss, summed over the samples (and outputs).
    """
    k, n = prediction.shape
    total = 0.0
    if classes:
        for i in range(n):
            top, partition, known = prediction[:, i].max(), 0.0, 0.0
            for c in range(k):
                partition += np.exp(prediction[c, i] - top)
                known += targets[c, a + i] * (prediction[c, i] - top)
            total += np.log(partition) - known
            for c in range(k):
                prediction[c, i] = np.exp(prediction[c, i] - top) / partition - targets[c, a + i]
        return total
    for c in range(k):
        row, target = prediction[c], targets[c, a : a + n]
        for i in range(n):
            row[i] -= target[i]
            total += np.float64(row[i]) * np.float64(row[i])
    return total


@kernel
def _chunk(batch, net, values, a, out):  # type: ignore[no-untyped-def]
    """Add the gradient of a chunk to ``out`` and its loss to the last entry of ``out``."""
    n, depth, kind = min(batch.chunk, batch.first + batch.size - a), len(net.layers) - 1, batch.features.dtype
    units = 0
    for i in range(depth):
        units += net.layers[i].rows
    active, slopes = np.empty((units, n), kind), np.empty((units, n), kind)
    residual = np.empty((net.layers[depth].rows, n), kind)
    low, high = 0, net.layers[0].rows
    _product(batch.features, a, net.layers[0], values[0], active[:high])
    _relu(active[:high])
    for i in range(1, depth):
        top = high + net.layers[i].rows
        _product(active[low:high], 0, net.layers[i], values[0], active[high:top])
        _relu(active[high:top])
        low, high = high, top
    _product(active[low:high], 0, net.layers[depth], values[0], residual)
    out[-1] += _residual(batch.targets, a, residual, net.classes)
    _gradient(active[low:high], 0, net.gradients[depth], residual, out)
    _product(residual, 0, net.backs[depth - 1], values[1], slopes[low:high])
    _masked(slopes[low:high], active[low:high])
    for i in range(depth - 1, 0, -1):
        base = low - net.layers[i - 1].rows
        _gradient(active[base:low], 0, net.gradients[i], slopes[low:high], out)
        _product(slopes[low:high], 0, net.backs[i - 1], values[1], slopes[base:low])
        _masked(slopes[base:low], active[base:low])
        low, high = base, low
    _gradient(batch.features, a, net.gradients[0], slopes[:high], out)


@kernel
def loss_gradient(batch, net, values, out, span):  # type: ignore[no-untyped-def]
    """Add gradient and loss to ``out`` ``[panels, gradients + 1]``, for the panels of ``span``.

    ``values`` holds the values of the layers and the values of the transposes.
    """
    chunks = -(-batch.size // batch.chunk)
    for panel in range(span[0], span[1]):
        for chunk in range(panel * chunks // len(out), (panel + 1) * chunks // len(out)):
            _chunk(batch, net, values, batch.first + chunk * batch.chunk, out[panel])


def layout(stored: NDArray[np.bool_], place: int, dense: bool) -> Layer:
    """Return the layer of the entries ``stored`` ``[rows, cols]``, row by row from ``place`` on; dense: all entries."""
    rows, cols = stored.shape
    if dense:
        return Layer(_NONE, _NONE, place, rows, cols, dense)
    row, col = np.nonzero(stored)
    return Layer(np.searchsorted(row, np.arange(rows + 1)), np.ascontiguousarray(col), place, rows, cols, dense)


def gradient(
    batch: Batch, net: Network, values: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[NDArray[np.float64], float]:
    """Return the gradient of the mean loss in the layouts ``net.gradients``, float64, and the mean loss.

    ``values`` holds the values of the layers and the values of the transposes. The squared loss is also a mean over
    the outputs.
    """
    last = net.gradients[-1]
    size = last.place + (last.rows * last.cols if last.dense else len(last.col))
    panels = max(1, min(PANELS, -(-batch.size // batch.chunk), PANEL_NUMBERS // (size + 1)))
    out = np.zeros((panels, size + 1))
    share(loss_gradient, panels, batch, net, values, out)
    total = out.sum(axis=0)
    # The kernel sums over samples and omits the factor 2 of the derivative of a square.
    terms = batch.size * (1 if net.classes else len(batch.targets))
    return total[:-1] * ((1.0 if net.classes else 2.0) / terms), float(total[-1]) / terms
