"""Gate rules: which direction ``h_j`` opens neuron ``j``, i.e. where the mask ``1[X h_j > 0]`` comes from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import NormalRows


class GateRule(Protocol):
    """Where the gate vectors of the live neurons come from."""

    @property
    def neurons(self) -> Tensor:
        """Neurons whose gate vector is not zero, int64 ascending ``[live]``; all others are dead."""

    def directions(self, ids: Tensor) -> Tensor:
        """Gate vectors ``h_j`` of the neurons ``ids`` (ascending), shape ``[len(ids), d]``."""


class RandomGates:
    """Random gates ``h_j ~ N(0, I_d)`` for every neuron, drawn when asked for (P1, Algorithm 1, first step)."""

    def __init__(self, stream: NormalRows, m: int, like: Tensor) -> None:
        self._stream, self._m, self._like = stream, m, like

    @property
    def neurons(self) -> Tensor:
        """All ``m`` neurons."""
        return torch.arange(self._m, device=self._like.device)

    def directions(self, ids: Tensor) -> Tensor:
        """Rows of the stream; draws the span of ``ids``, which callers keep to one tile where it matters."""
        if not len(ids):
            return self._like.new_empty(0, self._stream.dim)
        first, last = int(ids[0]), int(ids[-1])
        if last - first + 1 == len(ids):
            rows = self._stream.rows(first, last + 1)
        else:
            parts = [self._stream.rows(j, j + 1) for j in ids.tolist()]
            rows = np.concatenate(parts)
        return torch.from_numpy(rows).to(self._like.device, self._like.dtype)


class WeightGates:
    """Gates that follow the weights, ``h = w`` (sequential convex): a neuron without weights is dead."""

    def __init__(self, weights: SparseMatrix) -> None:
        self._weights = weights
        self._neurons = weights.live_rows()

    @property
    def neurons(self) -> Tensor:
        """Neurons with at least one nonzero weight."""
        return self._neurons

    def directions(self, ids: Tensor) -> Tensor:
        """Weights of the neurons ``ids``."""
        return self._weights.dense_rows(ids)
