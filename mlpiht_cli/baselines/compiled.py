"""Training of a compacted network on compiled kernels; importing this module loads numba."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.baselines.compact import Part
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.backprop import Batch, Network, gradient, is_dense, layout
from mlpiht_cli.linalg.products import Layer, arrange, block_samples, empty_blocks

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_BYTES = 2**19
"""Largest size of the outputs and slopes of the units for a chunk of samples, which stay in the level-2 cache."""
CHUNKS = 2, 12
"""Smallest and largest number of blocks of a chunk; the vectors of a gradient are summed up once for each chunk."""


class Samples:
    """Features and targets of a problem in the order of the batches, each batch in whole blocks.

    The features of all inputs in the order of the data are kept, since each training run of IMP needs some of them.
    """

    def __init__(self, problem: Problem) -> None:
        self._x, self._y = problem.x.contiguous().numpy(), problem.y.T.contiguous().numpy()
        self._whole: np.ndarray | None = None
        self.block = block_samples(self._x.dtype)

    def features(self, cols: Tensor, order: Tensor | None, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return the blocks ``[blocks, cols, samples]`` of the given features."""
        every = np.arange(self._x.shape[1])
        if order is not None:
            return self._arranged(cols.numpy(), order.numpy(), spans)
        if self._whole is None:
            self._whole = self._arranged(every, np.arange(len(self._x)), spans)
        if len(cols) == len(every):
            return self._whole
        out = empty_blocks(len(self._whole), len(cols), self._x.dtype)
        return np.take(self._whole, cols.numpy(), axis=1, out=out, mode="clip")

    def targets(self, order: Tensor | None) -> np.ndarray:
        """Return the targets ``[k, n]``."""
        return self._y if order is None else np.ascontiguousarray(self._y[:, order.numpy()])

    def _arranged(self, cols: np.ndarray, rows: np.ndarray, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        starts = self.starts(spans)
        places = np.full(starts[-1] * self.block, -1)  # samples that fill up the last block of a batch
        for (first, last), start in zip(spans, starts[:-1] * self.block, strict=True):
            places[start : start + last - first] = rows[first:last]
        out = empty_blocks(int(starts[-1]), len(cols), self._x.dtype)
        arrange(self._x, cols, places, out)
        return out

    def starts(self, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        """Return the first block of each batch, and the number of blocks."""
        return np.cumsum([0, *[-(-(last - first) // self.block) for first, last in spans]])


class CompiledNetwork:
    """Compiled products with only the free weights; each layer is sparse or dense, as is faster."""

    def __init__(self, problem: Problem, parts: Sequence[Part], initial: Sequence[Tensor], samples: Samples) -> None:
        self._samples, self._cols = samples, parts[0].cols
        dense = [is_dense(part.mask.numpy()) for part in parts]
        self._stored = [torch.ones_like(p.mask) if full else p.mask for p, full in zip(parts, dense, strict=True)]
        places = np.cumsum([0, *[int(stored.sum()) for stored in self._stored]])
        layers = [layout(s.numpy(), int(p), full) for s, p, full in zip(self._stored, places[:-1], dense, strict=True)]
        self._back, backs = _transposes(self._stored[1:], layers[1:])
        self._network = Network(tuple(layers), backs, tuple(layers), problem.loss == "cross_entropy")
        self._free = torch.cat([p.mask[stored] for p, stored in zip(parts, self._stored, strict=True)])
        (self._values,) = self.values([part.take(weight) for part, weight in zip(parts, initial, strict=True)])
        size = 2 * sum(layer.rows for layer in layers) * samples.block * self._values.itemsize
        self._chunk = min(CHUNKS[1], max(CHUNKS[0], CHUNK_BYTES // max(1, size)))

    @property
    def parameters(self) -> list[Tensor]:
        """All stored weights as one vector, in a list."""
        return [self._values]

    def arrange(self, order: Tensor | None, spans: Sequence[tuple[int, int]]) -> None:
        """See :class:`TrainedNetwork`."""
        self._features = self._samples.features(self._cols, order, spans)
        self._targets = self._samples.targets(order)
        starts = self._samples.starts(spans)
        self._first = {first: int(start) for (first, _), start in zip(spans, starts[:-1], strict=True)}

    def backward(self, first: int, last: int) -> float:
        """See :class:`TrainedNetwork`."""
        values = self._values.numpy()
        blocks = self._features[self._first[first] :]
        batch = Batch(blocks.reshape(-1, blocks.shape[2]), self._targets, first, last - first, self._chunk)
        slope, loss = gradient(batch, self._network, (values, values[self._back]))
        self._values.grad = (torch.from_numpy(slope) * self._free).to(self._values.dtype)
        return loss

    def weights(self) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        return self.layers(self.parameters)

    def values(self, layers: Sequence[Tensor]) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        return [torch.cat([layer[stored] for layer, stored in zip(layers, self._stored, strict=True)])]

    def layers(self, values: Sequence[Tensor]) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        parts = torch.split(values[0], [int(stored.sum()) for stored in self._stored])
        out = [values[0].new_zeros(stored.shape) for stored in self._stored]
        for full, stored, part in zip(out, self._stored, parts, strict=True):
            full[stored] = part
        return out


def _transposes(stored: Sequence[Tensor], layers: Sequence[Layer]) -> tuple[np.ndarray, tuple[Layer, ...]]:
    """Return the layouts of the layers' transposes, and the position of each of their values in the layers."""
    order, backs, place = [], [], 0
    for mask, layer in zip(stored, layers, strict=True):
        position = torch.full(mask.shape, -1)
        position[mask] = torch.arange(int(mask.sum())) + layer.place
        order.append(position.T[mask.T].numpy())
        backs.append(layout(mask.T.numpy(), place, layer.dense))
        place += len(order[-1])
    return np.concatenate(order), tuple(backs)
