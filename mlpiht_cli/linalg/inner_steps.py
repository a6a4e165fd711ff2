"""Compiled inner steps of a refinement whose Gram matrix is known; see :class:`~.stepsize.Refinement`."""

from __future__ import annotations

import numpy as np

from mlpiht_cli.linalg.jit import kernel


@kernel
def inner_steps(gram, gradient, values, step, limits):  # type: ignore[no-untyped-def]
    """Take gradient steps with backtracking on ``values`` in place; return the largest number of halvings of a step.

    Parameters
    ----------
    gram, gradient
        ``A_S^T A_S`` and ``A_S^T r``, float64 ``[q, q]`` and ``[q]``; the gradient is overwritten.
    values
        Weights on the support, float64 ``[q]``.
    step
        First step size.
    limits
        Number of steps, share of ``step |g|^2`` by which a step must lower the loss, and largest number of halvings.
    """
    steps, decrease, halvings = limits
    change, most = np.empty_like(gradient), 0
    for _ in range(steps):
        curvature = fall = 0.0
        for i in range(len(gradient)):
            change[i] = 0.0
            for j in range(len(gradient)):
                change[i] += gram[i, j] * gradient[j]
        for i in range(len(gradient)):
            curvature += gradient[i] * change[i]
            fall += gradient[i] * gradient[i]
        count, least = 0, step * curvature
        while count <= halvings and least > (2.0 - decrease) * fall:
            least *= 0.5
            step *= 0.5
            count += 1
        most = max(most, count)
        for i in range(len(gradient)):
            values[i] -= step * gradient[i]
            gradient[i] -= step * change[i]
    return most
