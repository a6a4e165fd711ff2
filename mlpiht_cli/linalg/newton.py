"""Newton's method for a smooth loss on many supports at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.linalg.smooth import Array, SmoothLoss

_HALVINGS = 30
_SUFFICIENT = 1e-4  # share of the linear decrease that a step must reach (Armijo)
_ROUNDING = 1e-15  # relative rise of the objective that counts as rounding
_DAMPING = 1e-10  # times the bound, added to the Hessian: softmax does not change along some directions


@dataclass(frozen=True)
class Solved:
    """State of all supports: weights ``[B, N]``, values ``[B]``, largest gradient on the support ``[B]``."""

    theta: Array
    value: Array
    slope: Array


def newton(loss: SmoothLoss, kept: NDArray[np.int64], tolerance: float) -> Iterator[Solved]:
    """Minimise on each support ``kept [B, s]``, from zero; yield each step until all slopes are within tolerance.

    A step solves with the Hessian on the support. It is halved until the objective falls enough, so no value ever
    rises. Supports within tolerance do not change any more.
    """
    theta = np.zeros((len(kept), loss.size))
    value, gradient = loss.value_and_gradient(theta)
    while True:
        slope = np.abs(np.take_along_axis(gradient, kept, axis=1)).max(axis=1)
        yield Solved(theta.copy(), value.copy(), slope)
        todo = slope > tolerance
        if not todo.any():
            return
        direction, fall = _directions(loss, theta[todo], gradient[todo], kept[todo])
        theta[todo], value[todo], gradient[todo] = _searched(loss, theta[todo], value[todo], direction, fall)


def _directions(loss: SmoothLoss, theta: Array, gradient: Array, kept: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return Newton's direction on each support, ``[B, N]``, and the objective's slope along it, ``[B]``, at most 0."""
    rows = np.arange(len(kept))[:, None, None]
    hessian = loss.hessian(theta)[rows, kept[:, :, None], kept[:, None, :]]
    damped = hessian + _DAMPING * loss.bound() * np.eye(kept.shape[1])
    slope = np.take_along_axis(gradient, kept, axis=1)
    move = -np.linalg.solve(damped, slope[:, :, None])[:, :, 0]
    direction = np.zeros_like(theta)
    np.put_along_axis(direction, kept, move, axis=1)
    return direction, (slope * move).sum(axis=1)


def _searched(
    loss: SmoothLoss, theta: Array, value: Array, direction: Array, fall: Array
) -> tuple[Array, Array, Array]:
    """Return points, values and gradients after full steps, each halved until its value falls enough."""
    length = np.ones(len(theta))
    for _ in range(_HALVINGS):
        point = theta + length[:, None] * direction
        reached, gradient = loss.value_and_gradient(point)
        short = reached > value + _SUFFICIENT * length * fall + _ROUNDING * np.abs(value)
        if not short.any():
            break
        length[short] /= 2
    return point, reached, gradient
