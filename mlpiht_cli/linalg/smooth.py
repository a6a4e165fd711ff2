"""Smooth losses of a linear model, as functions of one flat weight vector: values, gradients, Hessians, curvature.

A weight vector ``theta`` is the matrix ``W [k, d]`` row by row, ``N = k d`` numbers: position ``c d + j`` is the weight
from input j to output c. All functions take any number of weight vectors at once, in leading dimensions. They use NumPy
in float64, because for a dozen weights the overhead of a torch call exceeds its work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]


class SmoothLoss(ABC):
    """``f(theta) = mean_i loss(W x_i, y_i) + ridge / 2 |theta|^2``.

    A subclass defines the loss as a function of the outputs of one sample; this class applies the chain rule.

    Parameters
    ----------
    x, y
        Inputs ``[n, d]`` and targets ``[n, k]``, on any device and of any dtype.
    ridge
        Weight of the squared norm, at least 0.
    """

    def __init__(self, x: Tensor, y: Tensor, ridge: float = 0.0) -> None:
        self.x: Array = x.double().cpu().numpy()
        self.target: Array = y.T.double().cpu().numpy()
        self.n, self.d, self.k = len(x), x.shape[1], y.shape[1]
        self.ridge = ridge

    @property
    def size(self) -> int:
        """Number of weights N."""
        return self.k * self.d

    @property
    def finite(self) -> bool:
        """Whether all data and their squares are finite."""
        with np.errstate(over="ignore"):
            return bool(np.isfinite((self.x**2).sum()) and np.isfinite((self.target**2).sum()))

    @property
    @abstractmethod
    def steepest(self) -> float:
        """Largest eigenvalue, over all points, of the Hessian of one sample's loss in its outputs."""

    @abstractmethod
    def _losses_and_slopes(self, outputs: Array) -> tuple[Array, Array]:
        """Return the loss of each sample and its gradient in the outputs, ``[..., k, n] -> [..., n], [..., k, n]``."""

    @abstractmethod
    def _curvatures(self, outputs: Array) -> Array:
        """Return the Hessian of each sample's loss in its outputs, ``[..., k, n] -> [..., k, k, n]``."""

    def _outputs(self, theta: Array) -> Array:
        return np.asarray(theta.reshape(*theta.shape[:-1], self.k, self.d) @ self.x.T)

    def value_and_gradient(self, theta: Array) -> tuple[Array, Array]:
        """Return the objective and its gradient, ``[..., N] -> [...], [..., N]``."""
        losses, slopes = self._losses_and_slopes(self._outputs(theta))
        value = losses.sum(-1) / self.n + self.ridge / 2 * (theta * theta).sum(-1)
        gradient = (slopes @ self.x).reshape(theta.shape) / self.n + self.ridge * theta
        return value, gradient

    def hessian(self, theta: Array) -> Array:
        """Return the second derivatives of the objective, ``[..., N] -> [..., N, N]``."""
        curvatures = self._curvatures(self._outputs(theta))
        products = (self.x[:, :, None] * self.x[:, None, :]).reshape(self.n, -1)
        blocks = (curvatures @ products / self.n).reshape(*curvatures.shape[:-1], self.d, self.d)
        full = np.swapaxes(blocks, -3, -2).reshape(*theta.shape, self.size)
        return np.asarray(full + self.ridge * np.eye(self.size))

    def diagonal(self, theta: Array) -> Array:
        """Return the diagonal of the Hessian, ``[..., N] -> [..., N]``."""
        own = np.diagonal(self._curvatures(self._outputs(theta)), axis1=-3, axis2=-2)  # [..., n, k]
        return (np.swapaxes(own, -1, -2) @ (self.x * self.x)).reshape(theta.shape) / self.n + self.ridge

    def bound(self) -> float:
        """Return a smoothness constant that holds everywhere, ``steepest * lambda_max(X^T X / n) + ridge``.

        For softmax regression this is the ``lambda_max(X^T X / n) / 2`` of the protocol, section 5.
        """
        return self.steepest * float(np.linalg.eigvalsh(self.x.T @ self.x / self.n)[-1]) + self.ridge

    def matrix(self, theta: Array) -> SparseMatrix:
        """Return the weight vector ``[N]`` as a matrix ``[k, d]``."""
        return SparseMatrix.from_dense(torch.from_numpy(theta.reshape(self.k, self.d)))


class Softmax(SmoothLoss):
    """Cross-entropy of the softmax of the outputs; targets are one-hot."""

    @property
    def steepest(self) -> float:
        """Row c of ``diag(p) - p p^T`` has the absolute sum ``2 p_c (1 - p_c)``, which is at most 1/2 (Gershgorin)."""
        return 0.5

    def _losses_and_slopes(self, outputs: Array) -> tuple[Array, Array]:
        shifted, odds, total = _odds(outputs)
        return np.log(total[..., 0, :]) - (shifted * self.target).sum(-2), odds / total - self.target

    def _curvatures(self, outputs: Array) -> Array:
        _, odds, total = _odds(outputs)
        p = odds / total
        return np.asarray(np.eye(self.k)[:, :, None] * p[..., None, :, :] - p[..., :, None, :] * p[..., None, :, :])


def _odds(outputs: Array) -> tuple[Array, Array, Array]:
    """Return the outputs minus their maximum, the exponential of these, and its sum over the classes."""
    shifted = outputs - outputs.max(-2, keepdims=True)
    odds = np.exp(shifted)
    return shifted, odds, odds.sum(-2, keepdims=True)


class Squares(SmoothLoss):
    """Squared error, averaged over the outputs."""

    @property
    def steepest(self) -> float:
        """The Hessian is ``2 / k`` times the identity."""
        return 2.0 / self.k

    def _losses_and_slopes(self, outputs: Array) -> tuple[Array, Array]:
        residual = outputs - self.target
        return (residual * residual).sum(-2) / self.k, self.steepest * residual

    def _curvatures(self, outputs: Array) -> Array:
        one = self.steepest * np.eye(self.k)[:, :, None]
        return np.broadcast_to(one, (*outputs.shape[:-2], self.k, self.k, self.n))


SMOOTH_LOSSES: dict[str, type[SmoothLoss]] = {"cross_entropy": Softmax, "squared": Squares}
"""Losses by the name that a problem gives."""
