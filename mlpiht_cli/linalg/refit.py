"""Minimum of a smooth loss on one support, from a start and without a Hessian.

:func:`~mlpiht_cli.linalg.newton.newton` does it on many supports at once, from zero, with the Hessian of all N weights;
that is for a dozen weights, and takes N^2 numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.smooth import Array, SmoothLoss

TOLERANCE = 1e-6
"""Largest gradient on the support that ends the search."""
ITERATIONS = 300


def refit(loss: SmoothLoss, start: Array, kept: NDArray[np.bool_]) -> Array:
    """Return the weights ``[N]`` that minimise the loss on a support ``kept`` (bool ``[N]``): L-BFGS from a start."""
    from scipy import optimize

    place = np.flatnonzero(kept)
    theta = np.zeros(loss.size)

    def objective(values: Array) -> tuple[float, Array]:
        theta[place] = values
        value, gradient = loss.value_and_gradient(theta)
        return float(value), gradient[place]

    minimize: Any = optimize.minimize  # its overloads do not know an objective with a gradient
    limits = {"maxiter": ITERATIONS, "gtol": TOLERANCE, "ftol": 1e-12}
    theta[place] = minimize(objective, start[place], jac=True, method="L-BFGS-B", options=limits).x
    return theta
