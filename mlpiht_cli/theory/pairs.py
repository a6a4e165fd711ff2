"""Two gates in closed form: the eigenvalues of their unit columns for Gaussian inputs and infinitely many samples.

For gates at the angle t the inner products between the columns of the two neurons are

    M = [(pi - t) I + sin t (b b^T - e e^T)] / pi,

where b is the unit bisector of the gates and e the unit vector across it in their plane. (Derived for this program; P1
gives no such formula.) So the pair's 2 d columns have eigenvalues 1 +- those of M.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def least_of_pair(angle: float) -> float:
    """Return the least eigenvalue of all columns of two gates at an angle in radians: ``(t - sin t) / pi``."""
    return (angle - math.sin(angle)) / math.pi


def largest_of_pair(angle: float) -> float:
    """Return the largest eigenvalue of all columns of two gates at an angle in radians: 2 minus the least."""
    return 2.0 - least_of_pair(angle)


def pair_of_gates(angle: float, d: int) -> NDArray[np.float64]:
    """Return two unit gates ``[2, d]`` at an angle in radians."""
    gates = np.zeros((2, d))
    gates[0, 0] = 1.0
    gates[1, :2] = math.cos(angle), math.sin(angle)
    return gates
