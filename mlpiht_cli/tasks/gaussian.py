"""Compressed sensing with a Gaussian matrix: the sanity task of IHT (P1)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class GaussianSparse(Task):
    """Recover a vector of ``s`` ones among ``d`` unknowns from ``n`` Gaussian measurements ``y = A w``.

    The metric is the relative l2 error of the weight vector. It is defined only for linear models, which are one layer
    of one neuron.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"s", "seed"})

    n: int = Field(200, ge=1, description="measurements")
    d: int = Field(1000, ge=1, description="unknowns")

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(self.n, self.d, 1)

    def budget_fault(self, axes: Axes) -> str | None:
        """Refuse more ones than unknowns, unless ``clip_budget`` is on."""
        if axes.s <= self.d or self.clip_budget:
            return None
        return (
            f"s={axes.s} is above the {self.d} unknowns; lower s, raise task.d, "
            "or set task.clip_budget=true to make all of them ones"
        )

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Draw the support and the measurements; see :meth:`Task.build`."""
        fault = self.budget_fault(axes)
        if fault is not None:
            raise InputError(fault)
        support = np.sort(streams.planted_weights().choice(self.d, min(axes.s, self.d), replace=False))
        x = streams.planted_inputs(self.n, self.d)
        # The ones select columns. The sum is in float64 and rounded once, so the labels do not depend on the order.
        y = x.numpy()[:, support].sum(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
        truth = SparseMatrix(torch.from_numpy(support), torch.ones(len(support)), 1, self.d)
        target = torch.from_numpy(y)
        return Problem(x, target, x, target, "relative_error", truth=(truth,))
