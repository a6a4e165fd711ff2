"""Single- and multi-index models: Gaussian inputs, targets from one or two sparse directions (protocol, section 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.hermite import hermite
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor

N_TEST = 8192
"""Number of test samples, for every ``n``."""
_ROWS = 4096  # samples labelled at a time, which limits the float64 products


class IndexModel(Task):
    """Learn ``y = link(V x) + noise`` with ``x ~ N(0, I_d)`` and orthonormal sparse directions ``V`` ``[r, d]``.

    Each direction has ``s`` entries ``+-1/sqrt(s)``, on coordinates of its own. Every link has mean 0 and variance 1.
    The data of one seed extend each other: ``n`` samples are the first samples of every larger ``n``.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"s", "seed"})
    later: ClassVar[frozenset[str]] = frozenset({"features"})

    n: int = Field(4096, ge=2, description="training samples")
    d: int = Field(256, ge=1, description="input features")
    degree: Literal[2, 3] = Field(2, description="degree k of the Hermite polynomial, the information exponent")
    link: Literal["single", "sum", "product"] = Field(
        "single", description="He_k(z); (He_k(z1) + He_k(z2)) / sqrt(2); z1 z2, whose degree is 2"
    )
    noise: float = Field(0.1, ge=0.0, allow_inf_nan=False, description="standard deviation of the targets' noise")
    features: Literal["coordinates", "hermite"] = Field(
        "coordinates",
        description="inputs that a method gets: x, in which no link has a linear part, or He_k(x_j) of each coordinate",
    )
    q: float | None = Field(
        None,
        gt=0.0,
        lt=2.0,
        description="soft sparsity: entries behind the s largest fall as rank^(-1/q); none by default",
    )

    @model_validator(mode="after")
    def _product_of_two(self) -> IndexModel:
        if self.link == "product" and self.degree != 2:
            raise ValueError("the link 'product', z1 z2, has degree 2; set degree to 2")
        return self

    @property
    def hints(self) -> Mapping[str, object]:
        """``degree`` as in the task; ``rule`` is even for degree 2, odd for degree 3, and row_max for the link product.

        The theory assumes that the degree is known; only a scan of all coordinate pairs (row_max) sees a product.
        """
        rule = "row_max" if self.link == "product" else {2: "even", 3: "odd"}[self.degree]
        return {"degree": self.degree, "rule": rule}

    @property
    def indices(self) -> int:
        """Number of directions r."""
        return 1 if self.link == "single" else 2

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(self.n, self.d, 1)

    def budget_fault(self, axes: Axes) -> str | None:
        """Each direction needs ``s`` coordinates of its own."""
        if self.indices * axes.s <= self.d:
            return None
        each = "" if self.indices == 1 else f" for each of {self.indices} directions"
        return f"s={axes.s} nonzeros{each} are more than the d={self.d} coordinates; lower s or raise task.d"

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Draw directions, inputs and noise; see :meth:`Task.build`."""
        fault = self.budget_fault(axes)
        if fault is not None:
            raise InputError(fault)
        v = self.directions(axes.s, streams.directions())
        x = streams.inputs().standard_normal((self.n, self.d), dtype=np.float32)
        y = self._labels(x, v, streams.noise().standard_normal(self.n))
        test = streams.test_set()
        x_test = test.standard_normal((N_TEST, self.d), dtype=np.float32)
        y_test = self._labels(x_test, v, test.standard_normal(N_TEST))
        directions = SparseMatrix.from_dense(torch.from_numpy(v))
        return Problem(self._given(x), y, self._given(x_test), y_test, "r2", directions=directions)

    def _given(self, x: NDArray[np.float32]) -> Tensor:
        """Inputs ``[n, d]`` as a method gets them."""
        given = torch.from_numpy(x)
        return given if self.features == "coordinates" else hermite(given, self.degree)

    def directions(self, s: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw ``V`` ``[r, d]`` with random coordinates and signs; its rows have norm 1 and share no coordinate."""
        r = self.indices
        places = rng.permutation(self.d)
        rank = np.arange(1, self.d // r + 1)
        tail = np.zeros(len(rank)) if self.q is None else (rank / s) ** (-1.0 / self.q)
        size = np.where(rank <= s, 1.0, tail)
        v = np.zeros((r, self.d))
        for i in range(r):
            v[i, places[i::r][: len(rank)]] = rng.choice([-1.0, 1.0], len(rank)) * size
        return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))

    def _labels(self, x: NDArray[np.float32], v: NDArray[np.float64], noise: NDArray[np.float64]) -> Tensor:
        """Labels ``[n, 1]``, computed in float64 and rounded once."""
        used = v.any(axis=0)
        chunks = [x[a : a + _ROWS, used].astype(np.float64) @ v[:, used].T for a in range(0, len(x), _ROWS)]
        clean = self._link(torch.from_numpy(np.concatenate(chunks)))
        return (clean + self.noise * torch.from_numpy(noise)).float()[:, None]

    def _link(self, z: Tensor) -> Tensor:
        """Apply the link to the projections ``[n, r]``; the result has shape ``[n]``."""
        if self.link == "product":
            return z.prod(1)
        return hermite(z, self.degree).sum(1) / math.sqrt(self.indices)
