"""Training of a compacted network on compiled kernels; importing this module loads numba."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.baselines.compact import Part
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.backprop import DENSE_SHARE, Batch, Layer, Network, gradient, layout

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_NUMBERS = 2**17
"""Largest number of activations of a chunk of samples; these and their gradients fit into the level-2 cache."""
CHUNKS = 256, 512
"""Smallest and largest number of samples of a chunk."""


class CompiledNetwork:
    """Compiled products with only the free weights; each layer is sparse or dense, as is faster."""

    def __init__(self, problem: Problem, parts: Sequence[Part], initial: Sequence[Tensor], features: Tensor) -> None:
        every = len(parts[0].cols) == len(features)
        self._base = features if every else features[parts[0].cols]
        self._features, self._targets = self._base, problem.y.T.contiguous()
        self._y = self._targets
        dense = [bool(part.mask.float().mean() >= DENSE_SHARE) if part.mask.numel() else True for part in parts]
        self._stored = [torch.ones_like(p.mask) if full else p.mask for p, full in zip(parts, dense, strict=True)]
        places = np.cumsum([0, *[int(stored.sum()) for stored in self._stored]])
        layers = [layout(s.numpy(), int(p), full) for s, p, full in zip(self._stored, places[:-1], dense, strict=True)]
        self._back, backs = _transposes(self._stored[1:], layers[1:])
        self._network = Network(tuple(layers), backs, tuple(layers), problem.loss == "cross_entropy")
        self._free = torch.cat([p.mask[stored] for p, stored in zip(parts, self._stored, strict=True)])
        starts = [part.take(weight)[stored] for part, weight, stored in zip(parts, initial, self._stored, strict=True)]
        self._values = torch.cat(starts)
        units = 2 * sum(layer.rows for layer in layers)
        self._chunk = min(CHUNKS[1], max(CHUNKS[0], CHUNK_NUMBERS // max(1, units)))

    @property
    def parameters(self) -> list[Tensor]:
        """All stored weights as one vector, in a list."""
        return [self._values]

    def shuffle(self, order: Tensor | None) -> None:
        """See :class:`TrainedNetwork`."""
        if order is not None:
            if self._features is self._base:
                self._features = torch.empty_like(self._base)
            torch.index_select(self._base, 1, order, out=self._features)
            self._targets = self._y[:, order]

    def backward(self, first: int, last: int) -> float:
        """See :class:`TrainedNetwork`."""
        values = self._values.numpy()
        batch = Batch(self._features.numpy(), self._targets.numpy(), first, last - first, self._chunk)
        slope, loss = gradient(batch, self._network, (values, values[self._back]))
        self._values.grad = (torch.from_numpy(slope) * self._free).to(self._values.dtype)
        return loss

    def weights(self) -> list[Tensor]:
        """See :class:`TrainedNetwork`."""
        parts = torch.split(self._values, [int(stored.sum()) for stored in self._stored])
        out = [self._values.new_zeros(stored.shape) for stored in self._stored]
        for full, stored, values in zip(out, self._stored, parts, strict=True):
            full[stored] = values
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
