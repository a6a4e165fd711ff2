"""Compiled loss and gradient of a ReLU network whose layers are sparse or dense, fused over chunks of samples.

As in :mod:`~mlpiht_cli.linalg.kernels`, features and activations are stored unit by unit. A chunk passes forward and
back through all layers while it is in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.jit import kernel
from mlpiht_cli.linalg.loops import room
from mlpiht_cli.linalg.products import ACTIVE, PLAIN, RELU, Layer, Target, add_gradient, bring, product
from mlpiht_cli.linalg.threads import PANELS, share

BUILT_ON = "0bfa0e43261bda2b"
"""Start of the SHA-256 of ``products.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""
PANEL_NUMBERS = 2**19
"""Largest total size of the panels of a sum, in numbers; bounds the memory for the gradients of a wide network."""
NARROW, DENSE_SHARES = 128, (0.52, 0.37)
"""Share of nonzero entries of a layer from which on dense products are faster: up to NARROW columns, and above.

A block of samples of so many columns fits into the level-1 cache, where sparse products lose least. Measured.
"""


class Network(NamedTuple):
    """Layers, input side first; transposes of all layers except the first; layouts of the layers' gradients."""

    layers: tuple[Layer, ...]
    backs: tuple[Layer, ...]
    gradients: tuple[Layer, ...]
    classes: bool  # cross-entropy of classes rather than squared error


class Batch(NamedTuple):
    """Blocks of features, and targets ``[k, n]``; the ``size`` samples from ``first`` on fill the blocks in order.

    ``features`` ``[blocks * d, samples]`` are those of :func:`~mlpiht_cli.linalg.products.arrange`; ``chunk`` blocks
    pass through the network together.
    """

    features: NDArray[Any]
    targets: NDArray[Any]
    first: int
    size: int
    chunk: int


class Work(NamedTuple):
    """Memory for the blocks of a chunk: residuals, outputs of the hidden units and their slopes; the panel of sums."""

    residual: NDArray[Any]
    active: NDArray[Any]
    slopes: NDArray[Any]
    out: NDArray[np.float64]


@kernel
def _squared(targets, a, prediction):  # type: ignore[no-untyped-def]
    """Replace predictions ``[k, samples]`` by the gradient of half the squared error, up to the last sample.

    Samples after the last target get 0. Returns the sum of the squared errors, float64.
    """
    total = 0.0
    for c in range(len(prediction)):
        target, row = targets[c, a:], prediction[c]
        n = min(len(row), len(target))
        row[n:] = 0
        for i in range(n):
            row[i] -= target[i]
            total += np.float64(row[i]) * np.float64(row[i])
    return total


@kernel
def _cross_entropy(targets, a, prediction):  # type: ignore[no-untyped-def]
    """Replace predictions ``[k, samples]`` by the gradient of the cross-entropy of classes; see :func:`_squared`."""
    top, partition, total = prediction[0].copy(), np.zeros(prediction.shape[1]), 0.0
    n = min(prediction.shape[1], targets.shape[1] - a)
    for c in range(1, len(prediction)):
        row = prediction[c]
        for i in range(n):
            top[i] = max(top[i], row[i])
    for c in range(len(prediction)):
        target, row = targets[c, a:], prediction[c]
        for i in range(n):
            row[i] -= top[i]
            total -= target[i] * row[i]
            row[i] = np.exp(row[i])
            partition[i] += row[i]
    for i in range(n):
        total += np.log(partition[i])
    for c in range(len(prediction)):
        target, row = targets[c, a:], prediction[c]
        row[n:] = 0
        for i in range(n):
            row[i] = row[i] / partition[i] - target[i]
    return total


@kernel
def _residual(batch, a, prediction, classes):  # type: ignore[no-untyped-def]
    """Replace the predictions of blocks by the gradient of the loss, from sample ``a`` of the batch on; return it."""
    targets = batch.targets[:, batch.first : batch.first + batch.size]
    k, size, total = len(targets), prediction.shape[1], 0.0
    for block in range(len(prediction) // k):
        rows = prediction[block * k : (block + 1) * k]
        if classes:
            total += _cross_entropy(targets, a + block * size, rows)
        else:
            total += _squared(targets, a + block * size, rows)
    return total


@kernel
def _places(layers, blocks):  # type: ignore[no-untyped-def]
    """Return where the rows of each layer start in an array for all layers' units, and its end."""
    places = [0]
    for layer in layers:
        places.append(places[-1] + blocks * layer.rows)
    return places


@kernel
def _chunk(batch, net, values, span, work):  # type: ignore[no-untyped-def]
    """Add the gradient of the blocks of ``span`` to ``work.out``, and their loss to its last entry."""
    depth, d, size = len(net.layers) - 1, net.layers[0].cols, batch.features.shape[1]
    x = batch.features[span[0] * d : span[1] * d]
    ends = _places(net.layers, span[1] - span[0])
    residual, active, slopes, out = work.residual[: ends[-1] - ends[depth]], work.active, work.slopes, work.out
    bring(x)
    product(x, net.layers[0], values[0], Target(active[: ends[1]], RELU, x))
    for i in range(1, depth):
        into = Target(active[ends[i] : ends[i + 1]], RELU, x)
        product(active[ends[i - 1] : ends[i]], net.layers[i], values[0], into)
    low, high = ends[depth - 1], ends[depth]
    product(active[low:high], net.layers[depth], values[0], Target(residual, PLAIN, x))
    out[-1] += _residual(batch, span[0] * size, residual, net.classes)
    add_gradient(active[low:high], net.gradients[depth], residual, out)
    product(residual, net.backs[depth - 1], values[1], Target(slopes[low:high], ACTIVE, active[low:high]))
    for i in range(depth - 1, 0, -1):
        base = ends[i - 1]
        add_gradient(active[base:low], net.gradients[i], slopes[low:high], out)
        product(slopes[low:high], net.backs[i - 1], values[1], Target(slopes[base:low], ACTIVE, active[base:low]))
        low, high = base, low
    add_gradient(x, net.gradients[0], slopes[:high], out)


@kernel
def loss_gradient(batch, net, values, out, span):  # type: ignore[no-untyped-def]
    """Add gradient and loss to ``out`` ``[panels, gradients + 1]``, for the panels of ``span``.

    ``values`` holds the values of the layers and the values of the transposes.
    """
    size = batch.features.shape[1]
    blocks = -(-batch.size // size)
    chunks, ends = -(-blocks // batch.chunk), _places(net.layers, min(blocks, batch.chunk))
    units, outputs = ends[-2], ends[-1] - ends[-2]
    flat = room((2 * units + outputs) * size, batch.features).reshape((2 * units + outputs, size))
    residual, active, slopes = flat[:outputs], flat[outputs : outputs + units], flat[outputs + units :]
    for panel in range(span[0], span[1]):
        for chunk in range(panel * chunks // len(out), (panel + 1) * chunks // len(out)):
            within = chunk * batch.chunk, min(blocks, (chunk + 1) * batch.chunk)
            _chunk(batch, net, values, within, Work(residual, active, slopes, out[panel]))


def is_dense(stored: NDArray[np.bool_]) -> bool:
    """Whether dense products are faster for a layer with the entries ``stored``."""
    return not stored.size or bool(stored.mean() >= DENSE_SHARES[stored.shape[1] > NARROW])


def layout(stored: NDArray[np.bool_], place: int, dense: bool) -> Layer:
    """Return the layer of the entries ``stored`` ``[rows, cols]``, row by row from ``place`` on; dense: all entries."""
    rows, cols = stored.shape
    if dense:
        return Layer(cols * np.arange(rows + 1), np.arange(cols), place, rows, cols, dense)
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
    chunks = -(-batch.size // (batch.chunk * batch.features.shape[1]))
    panels = max(1, min(PANELS, chunks, PANEL_NUMBERS // (size + 1)))
    out = np.zeros((panels, size + 1))
    share(loss_gradient, panels, batch, net, values, out)
    total = out.sum(axis=0)
    # The kernel sums over samples and omits the factor 2 of the derivative of a square.
    terms = batch.size * (1 if net.classes else len(batch.targets))
    return total[:-1] * ((1.0 if net.classes else 2.0) / terms), float(total[-1]) / terms
