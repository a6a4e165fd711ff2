"""Distributions of planted inputs: what the theory assumes of them, Gaussian entries, and what it does not.

Each has one function that draws independent samples, row by row; all but ``sphere``, ``ar`` and ``shifted`` have
independent entries of mean 0 and variance 1, or of one sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# fmt: off
Kind = Literal[
    "gaussian", "sphere", "uniform", "laplace", "student", "rademacher", "sparse", "ar", "shifted", "absolute",
    "lognormal", "binary",
]
# fmt: on
Rows = NDArray[np.floating[Any]]
_Draw = Callable[[np.random.Generator, tuple[int, int], float], Rows]

SHARE = 0.1
"""Share of entries that are not zero in ``sparse`` inputs."""


def _sphere(generator: np.random.Generator, shape: tuple[int, int], _: float) -> Rows:
    """Rows uniform on the sphere of radius sqrt(d)."""
    rows = generator.standard_normal(shape)
    norms: Rows = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * math.sqrt(shape[1]) / norms


def _sparse(generator: np.random.Generator, shape: tuple[int, int], _: float) -> Rows:
    """Gaussian entries, each of which is there with probability :data:`SHARE`; variance 1."""
    there = generator.random(shape) < SHARE
    return there * generator.standard_normal(shape) / math.sqrt(SHARE)


def _ar(generator: np.random.Generator, shape: tuple[int, int], correlation: float) -> Rows:
    """Gaussian rows in which entries i and j have the correlation ``c^|i - j|``; variance 1."""
    rows = generator.standard_normal(shape)
    rest = math.sqrt(1.0 - correlation * correlation)
    for j in range(1, shape[1]):
        rows[:, j] = correlation * rows[:, j - 1] + rest * rows[:, j]
    return rows


_DRAWS: Mapping[str, _Draw] = {
    "sphere": _sphere,
    "uniform": lambda generator, shape, _: generator.uniform(-math.sqrt(3.0), math.sqrt(3.0), shape),
    "laplace": lambda generator, shape, _: generator.laplace(0.0, math.sqrt(0.5), shape),
    "student": lambda generator, shape, _: generator.standard_t(3.0, shape) / math.sqrt(3.0),
    "rademacher": lambda generator, shape, _: 2.0 * generator.integers(0, 2, shape) - 1.0,
    "sparse": _sparse,
    "ar": _ar,
    "shifted": lambda generator, shape, _: generator.standard_normal(shape) + 1.0,
    "absolute": lambda generator, shape, _: np.abs(generator.standard_normal(shape)),
    "lognormal": lambda generator, shape, _: np.exp(generator.standard_normal(shape)),
    "binary": lambda generator, shape, _: generator.integers(0, 2, shape).astype(np.float64),
}


@dataclass(frozen=True)
class Inputs:
    """A distribution of inputs.

    Attributes
    ----------
    kind
        Its name, a :data:`Kind` but ``gaussian``, whose stream is that of the paper's code.
    correlation
        Correlation of neighbouring entries, below 1 in size; only ``ar`` has it.
    """

    kind: str
    correlation: float

    def rows(self, generator: np.random.Generator, rows: int, d: int, /) -> Rows:
        """Draw samples ``[rows, d]``, float64."""
        return _DRAWS[self.kind](generator, (rows, d), self.correlation)
