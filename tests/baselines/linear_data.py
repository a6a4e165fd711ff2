"""Data for the tests of sparse linear methods, and least squares as NumPy has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.fit import Fit
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.gaussian import GaussianSparse

Floats = NDArray[np.float64]


def sensing(n: int, d: int, s: int, seed: int = 0, **settings: object) -> Problem:
    return GaussianSparse.model_validate({"n": n, "d": d, **settings}).build(Axes(1, s), Streams(seed))


def noisy(n: int, d: int, seed: int = 0) -> tuple[Floats, Floats]:
    """A matrix of columns of various norms, and targets that no few columns fit."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, d)
    return a, a[:, :4] @ [3.0, -2.0, 1.0, 0.5] + rng.normal(size=n)


def problem_of(a: Floats, y: Floats) -> Problem:
    x, target = torch.from_numpy(a), torch.from_numpy(y)[:, None]
    return Problem(x, target, x, target, "r2")


def run(method: Method, problem: Problem, s: int) -> Fit:
    return method.fit(problem, Shape(1), s, Streams(0))


def found(method: Method, a: Floats, y: Floats, s: int) -> Floats:
    """Weights ``[d]`` that a method in float64 finds."""
    fit = run(method.model_copy(update={"dtype": "float64"}), problem_of(a, y), s)
    return np.asarray(fit.model.layers[0].dense()[0].numpy())


def solved(a: Floats, y: Floats, support: Sequence[int] | NDArray[np.int64]) -> Floats:
    """Least squares on a support, all other weights 0."""
    w = np.zeros(a.shape[1])
    w[support] = np.linalg.lstsq(a[:, support], y)[0]
    return w


def largest(values: Floats, s: int) -> NDArray[np.int64]:
    """Places of the s largest magnitudes, ascending."""
    return np.sort(np.argsort(-np.abs(values), kind="stable")[:s])
