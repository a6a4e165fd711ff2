"""Distributions of planted inputs: what the theory assumes of them, Gaussian entries, and what it does not.

Each has one function that draws independent samples, row by row; all but ``sphere``, ``ar`` and ``shifted`` have
independent entries of mean 0 and variance 1, or of one sign. ``mnist`` are pixels of stored images instead,
``breast_cancer`` and ``diabetes`` the rows of tables of scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Block
from mlpiht_cli.tasks.mnist import PIXELS, TRAIN_IMAGES, training_images
from mlpiht_cli.tasks.table_sources import SOURCES

# fmt: off
Kind = Literal[
    "gaussian", "sphere", "uniform", "laplace", "student", "rademacher", "sparse", "ar", "shifted", "absolute",
    "lognormal", "binary", "mnist", "breast_cancer", "diabetes",
]
# fmt: on
_Draw = Callable[[np.random.Generator, tuple[int, int], float], Block]

SHARE = 0.1
"""Share of entries that are not zero in ``sparse`` inputs."""


def _sphere(generator: np.random.Generator, shape: tuple[int, int], _: float) -> Block:
    """Rows uniform on the sphere of radius sqrt(d)."""
    rows = generator.standard_normal(shape)
    norms: Block = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * math.sqrt(shape[1]) / norms


def _sparse(generator: np.random.Generator, shape: tuple[int, int], _: float) -> Block:
    """Gaussian entries, each of which is there with probability :data:`SHARE`; variance 1."""
    there = generator.random(shape) < SHARE
    return there * generator.standard_normal(shape) / math.sqrt(SHARE)


def _ar(generator: np.random.Generator, shape: tuple[int, int], correlation: float) -> Block:
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
        Its name, a :data:`Kind` but ``gaussian``, whose stream is that of the paper's code, and those that are stored.
    correlation
        Correlation of neighbouring entries, below 1 in size; only ``ar`` has it.
    """

    kind: str
    correlation: float

    def blocks(self, generator: np.random.Generator, n: int, d: int, rows: int, /) -> Iterator[Block]:
        """Draw ``n`` samples of ``d`` features in blocks of ``rows``, float64."""
        draw = _DRAWS[self.kind]
        return (draw(generator, (min(rows, n - start), d), self.correlation) for start in range(0, n, rows))


@dataclass(frozen=True)
class Pixels:
    """Pixels in [0, 1] of MNIST's training images: samples are images, features the pixels that vary most.

    The images come in a random order of the whole set, so that a larger sample begins with the smaller one. The pixels
    are the ``d`` of largest variance over *all* training images, of equal ones the first, in the order of the image.
    """

    def blocks(self, generator: np.random.Generator, n: int, d: int, rows: int, /) -> Iterator[Block]:
        """Draw ``n`` images without replacement and yield ``d`` pixels of each in blocks of ``rows``, float64.

        Raises
        ------
        InputError
            The file is missing, damaged, or has fewer images or pixels than are asked for.
        """
        images = training_images()
        if n > len(images) or d > PIXELS:
            raise InputError(f"MNIST: {too_large(n, d, len(images))}")
        order, pixels = generator.permutation(len(images))[:n], _most_varied(images)[:d]
        pixels = np.sort(pixels)
        return (images[np.ix_(order[start : start + rows], pixels)] / 255.0 for start in range(0, n, rows))


@dataclass(frozen=True)
class TableRows:
    """Numbers of a table of scikit-learn as they are: samples are its rows in a random order, features its inputs.

    The order is of all rows, so that a larger sample begins with the smaller one.

    Attributes
    ----------
    table
        Its name.
    """

    table: Literal["breast_cancer", "diabetes"]

    def blocks(self, generator: np.random.Generator, n: int, d: int, rows: int, /) -> Iterator[Block]:
        """Draw ``n`` rows without replacement and yield all ``d`` features of each in blocks of ``rows``, float64.

        Raises
        ------
        InputError
            The table has fewer rows than are asked for, or another number of features.
        """
        fault = stored_fault(self.table, n, d)
        if fault is not None:
            raise InputError(fault)
        x = SOURCES[self.table].make().drop(columns="y").to_numpy(np.float64)
        order = generator.permutation(len(x))[:n]
        return (x[order[start : start + rows]] for start in range(0, n, rows))


def stored_fault(kind: str, n: int, d: int) -> str | None:
    """Say what is wrong with a sample of ``n`` samples and ``d`` features of a stored set; None if nothing is.

    Features of images can be chosen, so that fewer are a sample too; those of a table cannot.
    """
    if kind == "mnist":
        return f"inputs: mnist: {too_large(n, d, TRAIN_IMAGES)}" if n > TRAIN_IMAGES or d > PIXELS else None
    if kind not in SOURCES:
        return None
    source = SOURCES[kind]
    if n <= source.rows and d == source.inputs:
        return None
    return (
        f"inputs: {kind}: the table has {source.rows} rows of {source.inputs} features, not n={n} of d={d}; "
        f"set task.n to at most {source.rows} and task.d to {source.inputs}"
    )


def too_large(n: int, d: int, images: int) -> str:
    """Say that a sample is larger than the stored set, and what to do."""
    return (
        f"the training set has {images} images of {PIXELS} pixels, not n={n} of d={d}; "
        f"set task.n to at most {images} and task.d to at most {PIXELS}"
    )


def _most_varied(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return all pixels, that of the largest variance first; the variances are compared as whole numbers."""
    total, squares = np.zeros(PIXELS, np.int64), np.zeros(PIXELS, np.int64)
    for block in np.array_split(images, max(1, len(images) // 1000)):
        levels = block.astype(np.int64)
        total += levels.sum(axis=0)
        squares += (levels * levels).sum(axis=0)
    return np.argsort(total * total - len(images) * squares, kind="stable")
