"""Forward and backward pass of a one-hidden-layer network with several outputs, over live neurons only.

``yhat = sum_j 1[X h_j > 0] (X w1_j) w2_j^T``; with gates ``h = w1`` this is ``relu(X W1^T) W2``. A neuron whose gate
vector is zero is dead: it gives nothing and its gradients are zero.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Pass(NamedTuple):
    """A forward pass: live neurons (int64 ``[l]``), their masks and activations ``[b, l]``, predictions ``[b, k]``."""

    live: Tensor
    mask: Tensor
    activations: Tensor
    prediction: Tensor


def forward(x: Tensor, hidden: Tensor, output: Tensor, gates: Tensor | None) -> Pass:
    """Predict from inputs ``[b, d]`` with hidden weights ``[m, d]`` and output weights ``[m, k]``.

    ``gates`` are vectors ``[m, d]``, or None for gates that follow the hidden weights.
    """
    live = (hidden if gates is None else gates).any(dim=1).nonzero().flatten()
    linear = x @ hidden[live].T
    mask = linear > 0 if gates is None else x @ gates[live].T > 0
    activations = linear * mask
    return Pass(live, mask, activations, activations @ output[live])


def along(x: Tensor, made: Pass, output: Tensor, direction: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Predictions along a ray with the gates held fixed: ``yhat(mu) = yhat + mu a + mu^2 b``.

    One product with the data gives the predictions for every step ``mu``.

    Parameters
    ----------
    x, made, output
        As for :func:`gradients`.
    direction
        Directions of the hidden and the output weights, ``[m, d]`` and ``[m, k]``.

    Returns
    -------
    tuple of Tensor
        ``a`` and ``b``, ``[b, k]`` each.
    """
    hidden, back = (part[made.live] for part in direction)
    moved = (x @ hidden.T) * made.mask
    return made.activations @ back + moved @ output[made.live], moved @ back


def gradients(x: Tensor, made: Pass, output: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the hidden and output weights, ``[m, d]`` and ``[m, k]``, gates held fixed.

    With ``P_j = (D_j X)^T R`` the protocol's formulas are ``grad w1_j = P_j w2_j`` and ``grad w2_j = P_j^T w1_j``. They
    are computed as ``X^T (mask_j * (R w2_j))`` and ``z_j^T R`` with the activations ``z_j``: no ``d x k`` block exists.

    Parameters
    ----------
    x
        Inputs ``[b, d]``.
    made
        Their forward pass.
    output
        Output weights ``[m, k]``.
    residual
        Gradient of the loss with respect to the predictions, ``R``, ``[b, k]``.
    """
    hidden = x.new_zeros(len(output), x.shape[1])
    hidden[made.live] = ((residual @ output[made.live].T) * made.mask).T @ x
    back = output.new_zeros(output.shape)
    back[made.live] = made.activations.T @ residual
    return hidden, back
