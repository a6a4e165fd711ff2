"""Planted sparse networks: Gaussian inputs, labels from a random sparse ReLU network (P1, section 4)."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.task import Axes, Axis, Dims, Task

_ROWS = 4096  # samples labelled at a time: bounds the float64 activations


class Planted(Task):
    """Recover a sparse network from its own labels; the metric is the PSNR on the training set.

    The network has ``depth`` hidden layers of width ``m`` and about ``s`` nonzeros, spread evenly over the layers. One
    output is the sum of the last ReLU layer; several outputs are one more, linear layer.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"m", "s", "depth", "seed"})
    pictured: ClassVar[Literal["image", "weights"] | None] = "weights"

    n: int = Field(50_000, ge=1, description="samples")
    d: int = Field(100, ge=1, description="input features")
    k: int = Field(1, ge=1, description="outputs")

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(self.n, self.d, self.k)

    def _sizes(self, axes: Axes) -> list[int]:
        """Widths from input to output; one output is the sum of the last hidden layer, and has no weights."""
        return [self.d, *[axes.m] * axes.depth, *([self.k] if self.k > 1 else [])]

    def budget_fault(self, axes: Axes) -> str | None:
        """A budget above the number of weights needs a word."""
        total = sum(a * b for a, b in pairwise(self._sizes(axes)))
        if axes.s <= total or self.clip_budget:
            return None
        return (
            f"s={axes.s} is above the {total} weights of the planted network at m={axes.m}; lower s, raise m, "
            "or set task.clip_budget=true to plant all of them"
        )

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Draw weights and inputs from NumPy's legacy streams, so that every array is pinned by the seed."""
        weights = self.weights(axes, streams)
        x = streams.planted_inputs().normal(size=(self.n, self.d)).astype(np.float32)
        chunks = [x[start : start + _ROWS] for start in range(0, self.n, _ROWS)]
        y = np.concatenate([_labels(chunk, weights, self.k) for chunk in chunks])
        if not y.any():
            raise CellSkipped("the planted network is zero on every sample, so there is nothing to recover")
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        truth = tuple(SparseMatrix.from_dense(torch.from_numpy(w.T.copy())) for w in weights)
        peak = float(np.abs(y).max())
        return Problem(inputs, targets, inputs, targets, "psnr", peak=peak, truth=truth)

    def weights(self, axes: Axes, streams: Streams) -> list[NDArray[np.float32]]:
        """Planted weights, input side first, each an ``(in, out)`` matrix.

        Raises
        ------
        CellSkipped
            The protocol leaves the cell out.
        InputError
            The budget is above the number of weights, and ``clip_budget`` is off.
        """
        sizes = self._sizes(axes)
        layers = len(sizes) - 1
        share = axes.s // layers
        fault = self.budget_fault(axes)
        if fault is not None:
            raise InputError(fault)
        if axes.depth > 1 and axes.m**2 < axes.s // axes.depth:
            raise CellSkipped(
                f"m^2 = {axes.m**2} weights between hidden layers cannot hold a share "
                f"s // {axes.depth} = {axes.s // axes.depth} of the budget"
            )
        generator = streams.planted_weights()
        weights = []
        for a, b in pairwise(sizes):
            flat = np.zeros(a * b, dtype=np.float32)
            index = generator.choice(a * b, min(a * b, share), replace=False)
            flat[index] = generator.normal(size=len(index)).astype(np.float32)
            weights.append(flat.reshape(a, b))
        return weights


def _labels(x: NDArray[np.float32], weights: list[NDArray[np.float32]], k: int) -> NDArray[np.float32]:
    """Labels ``[n, k]``: computed in float64 and rounded once, so that they do not depend on the BLAS."""
    hidden = x.astype(np.float64)
    linear = weights[-1:] if k > 1 else []
    for weight in weights[: len(weights) - len(linear)]:
        hidden = np.maximum(hidden @ weight.astype(np.float64), 0.0)
    out = hidden @ linear[0].astype(np.float64) if linear else hidden.sum(axis=1, keepdims=True)
    return np.asarray(out, dtype=np.float32)
