"""Probabilities of two classes from the output of a network that is trained on labels 0 and 1 (Platt 1999)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""Output from which a row is of the second class: halfway between the targets 0 and 1."""
LOG_SLOPES = (-7.0, 7.0)
"""Range of the logarithm of a slope."""


def platt_slope(scores: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    """Return the slope ``a > 0`` of the probability ``1 / (1 + exp(-a score))`` that is most likely.

    There is no offset, so that a probability is above one half where the score is above 0. The targets are Platt's:
    ``(n1 + 1) / (n1 + 2)`` for the ``n1`` rows of the second class and ``1 / (n0 + 2)`` for the ``n0`` others, so that
    separable classes have a finite slope.

    Parameters
    ----------
    scores
        Outputs minus ``THRESHOLD``, ``[n]``.
    second
        Whether a row is of the second class, ``[n]``.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_expit

    ones = int(second.sum())
    target = np.where(second, (ones + 1.0) / (ones + 2.0), 1.0 / (len(second) - ones + 2.0))

    def loss(log_slope: float) -> float:
        logits = np.exp(log_slope) * scores
        return -float(np.mean(target * log_expit(logits) + (1.0 - target) * log_expit(-logits)))

    return float(np.exp(minimize_scalar(loss, bounds=LOG_SLOPES, method="bounded").x))
