"""Iris: three species of flowers from four lengths, for a linear softmax network of 15 weights (P2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.rng import Streams

FLOWERS = Path(__file__).with_name("iris.csv")
"""The 150 flowers; the first lines of the file give their origin."""
FEATURES = ("sepal length", "sepal width", "petal length", "petal width", "bias")
SPECIES = ("setosa", "versicolor", "virginica")
LEFT_OUT = (6.4, 3.2, 4.5, 1.5)
"""The versicolor that P2 removes (protocol, section 5)."""
ROWS = 149
TEST_SHARE = 0.2


def read_flowers() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features ``[149, 4]`` in cm and species ``[149]``, an index into :data:`SPECIES`."""
    table = np.genfromtxt(FLOWERS, delimiter=",", dtype=str, encoding="utf-8")
    lengths, species = table[:, :4].astype(np.float64), np.array([SPECIES.index(name) for name in table[:, 4]])
    kept = (lengths != LEFT_OUT).any(axis=1)
    return lengths[kept], species[kept]


class Iris(Task):
    """149 flowers, four standardised features and a constant column; accuracy on a held-out fifth of the flowers.

    The split is a setting and not the seed, so that the seeds of a sweep are random starts on the same data.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset()
    pictured: ClassVar[Literal["image", "weights", "layer"] | None] = "layer"
    weight_names: ClassVar[tuple[Sequence[str], Sequence[str]]] = (SPECIES, FEATURES)

    split: int = Field(0, ge=0, lt=2**32, description="which random 80/20 split of the flowers")

    def dims(self) -> Dims:
        """Size of the training data."""
        return Dims(ROWS - round(TEST_SHARE * ROWS), len(FEATURES), len(SPECIES))

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Split and standardise; ``streams`` (the cell's seed) is not used. See :meth:`Task.build`."""
        lengths, species = read_flowers()
        order = Streams(self.split).split().permutation(len(lengths))
        train, test = np.sort(order[: self.dims().n]), np.sort(order[self.dims().n :])
        scaled = (lengths - lengths[train].mean(axis=0)) / lengths[train].std(axis=0)
        x = torch.from_numpy(np.column_stack([scaled, np.ones(len(scaled))]).astype(np.float32))
        y = torch.eye(len(SPECIES))[species]
        return Problem(x[train], y[train], x[test], y[test], "accuracy", "cross_entropy")
