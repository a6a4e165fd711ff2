"""The gates whose guarantee is measured, and the support of the weights that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.theory.patterns import Patterns

Source = Literal["planted", "random", "fitted"]


@dataclass(frozen=True)
class Gates:
    """Gate vectors, and the support of weights of the same neurons.

    Attributes
    ----------
    source
        ``planted``: the first layer of the planted network; ``random``: the random start of IHT; ``fitted``: those of a
        fitted network.
    vectors
        Gates of the live neurons, float64 ``[p, d]``.
    numbers
        Numbers of these neurons in their network, int64 ``[p]`` ascending.
    own
        Columns ``j * d + feature`` of nonzero weights of gate j, ascending; None for gates without weights.
    """

    source: Source
    vectors: NDArray[np.float64]
    numbers: NDArray[np.int64]
    own: NDArray[np.int64] | None

    def patterns(self, x: torch.Tensor) -> Patterns:
        """Return the patterns on inputs ``x`` ``[n, d]``: a neuron is open where ``x . h > 0``, computed in float64."""
        check_room(2 * len(self.vectors) * len(x), f"masks of {len(self.vectors)} gates on {len(x)} samples")
        masks = np.empty((len(self.vectors), len(x)), dtype=bool)
        step = max(1, 2**22 // x.shape[1])
        for start in range(0, len(x), step):
            part = x[start : start + step].cpu().double().numpy()
            masks[:, start : start + step] = self.vectors @ part.T > 0
        return Patterns(masks)


def given_gates(source: Source, vectors: NDArray[np.float64]) -> Gates:
    """Return gates ``[p, d]`` without weights."""
    return Gates(source, vectors, np.arange(len(vectors)), None)


def random_gates(d: int, m: int, streams: Streams) -> Gates:
    """Return the random gates of ``d`` features that IHT starts from, ``h_j ~ N(0, I)``."""
    return given_gates("random", streams.gates(d).rows(0, m))


def planted_gates(problem: Problem) -> Gates:
    """Return the first layer of the planted network as gates.

    Raises
    ------
    InputError
        Nothing was planted.
    """
    if problem.truth is None:
        raise InputError("planted gates: nothing was planted in these data; use fitted or random gates")
    return _of_weights("planted", problem.truth[0], problem.truth[0])


def fitted_gates(model: SparseMLP) -> Gates:
    """Return the gates of a network's first layer: its own weights, or the fixed gates that it was fitted with."""
    layer = model.layers[0]
    return _of_weights("fitted", layer, layer if model.gates is None else model.gates)


def _of_weights(source: Source, weights: SparseMatrix, gates: SparseMatrix) -> Gates:
    """Gates of the neurons that have weights."""
    live = weights.live_rows()
    rows = weights.dense_rows(live).double().cpu().numpy()
    vectors = gates.dense_rows(live).double().cpu().numpy()
    return Gates(source, vectors, live.cpu().numpy(), np.flatnonzero(rows.ravel()))
