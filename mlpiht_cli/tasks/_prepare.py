"""Preparation of planted inputs on the drawn sample: each feature on its own scale, or all of them uncorrelated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Preparation = Literal["raw", "standardised", "whitened"]
_ROWS = 4096
"""Samples that are converted to float64 at a time."""


def standardise(x: NDArray[np.float32]) -> None:
    """Subtract from each feature of ``x`` ``[n, d]`` its mean, and divide by its standard deviation (of n, not n - 1).

    It works in float64 and in the memory of ``x``. A feature that is the same in every sample becomes 0.
    """
    mean, scale = _moments(x)
    for block in _blocks(x):
        block[:] = (block - mean) * scale


def whiten(x: NDArray[np.float32]) -> None:
    """Turn the features of ``x`` ``[n, d]`` into uncorrelated ones of mean 0 and variance 1, as close as can be.

    With z the standardised features and R their correlations, ``z R^(-1/2)``: whitening by the symmetric root, called
    ZCA-cor (Kessy, Lewin and Strimmer, The American Statistician 2018), which does not depend on the scales of the
    features. The sample covariance (with 1/n) is then the identity. No feature is dropped: one that never varies, and a
    direction in which z does not vary (more features than samples, features that determine one another), stays 0, and
    the covariance is the projection on all other directions. The last digits of the results are the processor's.
    """
    (n, d), (mean, scale) = x.shape, _moments(x)
    correlations = np.zeros((d, d))
    for block in _blocks(x):
        z = (block - mean) * scale
        correlations += z.T @ z
    values, vectors = np.linalg.eigh(correlations / n)
    there = values > max(n, d) * np.finfo(np.float64).eps * values[-1]
    roots = np.divide(1.0, np.sqrt(values, where=there, out=np.ones(d)), where=there, out=np.zeros(d))
    turn = ((vectors * roots) @ vectors.T) * (scale > 0)  # exact zeros, since gates ask for signs
    for block in _blocks(x):
        block[:] = ((block - mean) * scale) @ turn


def _moments(x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and inverse standard deviation of each feature, ``[d]`` both; 0 is the inverse for constant ones."""
    varies = x.max(axis=0) > x.min(axis=0)
    mean = x.mean(axis=0, dtype=np.float64)
    squares = np.zeros(x.shape[1])
    for block in _blocks(x):
        squares += np.square(block - mean).sum(axis=0)
    return mean, np.divide(1.0, np.sqrt(squares / len(x)), where=varies, out=np.zeros(x.shape[1]))


def _blocks(x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield the samples some at a time; what is written to a block is written to ``x``."""
    return (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))


PREPARATIONS: Mapping[Preparation, Callable[[NDArray[np.float32]], None] | None] = {
    "raw": None,
    "standardised": standardise,
    "whitened": whiten,
}
"""What is done to a sample, by name; None for nothing."""
