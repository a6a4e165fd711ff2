"""Compressed sensing with a Gaussian matrix: the sanity task of IHT (P1)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class GaussianSparse(Task):
    """Recover a vector of ``s`` ones among ``d`` unknowns from ``n`` Gaussian measurements ``y = A w``.

    The metric is the relative l2 error of the weight vector. It is defined only for linear models, which are one layer
    of one neuron. Entries may be normal numbers instead of ones, and measurements may have noise.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"s", "seed"})
    later: ClassVar[frozenset[str]] = frozenset({"values", "noise"})

    n: int = Field(200, ge=1, description="measurements")
    d: int = Field(1000, ge=1, description="unknowns")
    values: Literal["ones", "normal"] = Field(
        "ones", description="the s entries: ones, or standard normal numbers, some of which are small"
    )
    noise: float = Field(0.0, ge=0, allow_inf_nan=False, description="standard deviation of noise on the measurements")

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
        draws = streams.planted_weights()
        support = np.sort(draws.choice(self.d, min(axes.s, self.d), replace=False))
        size = len(support)
        values = (np.ones(size) if self.values == "ones" else draws.standard_normal(size)).astype(np.float32)
        x = streams.planted_inputs(self.n, self.d)
        # Ones select columns. Sums are in float64 and rounded once, so the labels do not depend on the order.
        picked = x.numpy()[:, support]
        terms = picked if self.values == "ones" else picked.astype(np.float64) * values
        y = terms.sum(axis=1, dtype=np.float64, keepdims=True)
        truth = SparseMatrix(torch.from_numpy(support), torch.from_numpy(values), 1, self.d)
        clean = torch.from_numpy(y.astype(np.float32))
        given = clean if not self.noise else torch.from_numpy(self._noisy(y, streams))
        return Problem(x, given, x, clean, "relative_error", truth=(truth,))

    def _noisy(self, y: NDArray[np.float64], streams: Streams) -> NDArray[np.float32]:
        """Measurements ``[n, 1]`` with noise, for training."""
        return (y + self.noise * streams.noise().standard_normal(y.shape)).astype(np.float32)
