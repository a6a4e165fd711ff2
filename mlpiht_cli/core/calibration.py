"""Probabilities of two classes from the output of a network that is trained on labels 0 and 1 (Platt 1999)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIDDLE = 0.5
"""Output between the classes: its probability is one half, so that labels and probabilities agree."""
STRENGTH = 1e4
"""Inverse of the penalty on the slope: it stays finite where the outputs separate the classes."""


def platt(output: NDArray[np.float64], second: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset of ``P(second class) = 1 / (1 + exp(-(slope * output + offset)))``.

    The slope maximises the likelihood of the labels; the offset puts one half at an output of one half.

    Parameters
    ----------
    output
        Outputs on the training rows, ``[n]``.
    second
        Whether a row is of the second class, ``[n]``.
    """
    from sklearn.linear_model import LogisticRegression

    centred = (output - MIDDLE)[:, None]
    if second.all() or not second.any() or not np.any(centred):
        return 1.0, -MIDDLE
    scale = float(np.abs(centred).max())
    found = LogisticRegression(C=STRENGTH, fit_intercept=False, max_iter=1000).fit(centred / scale, second)
    slope = max(float(found.coef_[0, 0]) / scale, 0.0)
    return slope, -slope * MIDDLE
