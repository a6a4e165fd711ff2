"""Stability of a sparse point under iterative hard thresholding (P2): a certificate in two parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlpiht_cli.linalg.smooth import Array


@dataclass(frozen=True)
class Stability:
    """Whether ``theta`` is a possible value of ``H_s(theta - step * gradient)``, and by which margin.

    Attributes
    ----------
    on_support
        Largest absolute gradient on the support; 0 at a stable point.
    off_ratio
        ``step * max |gradient|`` off the support, divided by the least magnitude kept; at most 1 at a stable point.
        With fewer than s nonzeros the least magnitude kept is 0, and the ratio is infinite unless the gradient is 0.
    stable
        Whether both conditions hold if every gradient may be wrong by the tolerance.
    """

    on_support: float
    off_ratio: float
    stable: bool


def ht_stability(theta: Array, gradient: Array, s: int, step: float, tolerance: float) -> Stability:
    """Return the certificate of a point with at most ``s`` nonzeros; ``theta`` and ``gradient`` have shape ``[N]``."""
    support = theta != 0
    on = float(np.abs(gradient[support]).max(initial=0.0))
    off = float(np.abs(gradient[~support]).max(initial=0.0))
    least = float(np.abs(theta[support]).min()) if support.sum() >= s else 0.0
    ratio = (step * off / least if least else math.inf) if off else 0.0
    return Stability(on, ratio, on <= tolerance and step * off <= least + step * tolerance)
