"""Forward and backward pass of a one-hidden-layer network with several outputs, over live neurons only.

``yhat = sum_j 1[X h_j > 0] (X w1_j) w2_j^T``; with gates ``h = w1`` this is ``relu(X W1^T) W2``. A neuron whose gate
vector is zero is dead: its output and its gradients are zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 1024
"""Samples that pass through the network together."""


class Pass(NamedTuple):
    """A forward pass: live neurons (int64 ``[l]``), masks and activations ``[l, b]``, predictions ``[b, k]``."""

    live: Tensor
    mask: Tensor
    activations: Tensor
    prediction: Tensor


def forward(x: Tensor, hidden: Tensor, output: Tensor, gates: Tensor | None) -> Pass:
    """Predict from inputs ``[b, d]`` with hidden weights ``[m, d]`` and output weights ``[m, k]``.

    ``gates`` are vectors ``[m, d]``, or None for gates that follow the hidden weights. Products run neuron by neuron;
    they are fast if the inputs are stored feature by feature, as in the solvers.
    """
    live = (hidden if gates is None else gates).any(dim=1).nonzero().flatten()
    linear = hidden[live] @ x.T
    mask = linear > 0 if gates is None else gates[live] @ x.T > 0
    return _passed(live, mask, linear * mask, output)


def with_weights(x: Tensor, made: Pass, hidden: Tensor, output: Tensor) -> Pass:
    """Return the pass of other weights through the gates of the pass ``made``; see :func:`forward`."""
    return _passed(made.live, made.mask, (hidden[made.live] @ x.T) * made.mask, output)


def _passed(live: Tensor, mask: Tensor, activations: Tensor, output: Tensor) -> Pass:
    return Pass(live, mask, activations, (output[live].T @ activations).T)


def along(x: Tensor, made: Pass, output: Tensor, direction: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return predictions along a ray at fixed gates: ``yhat(mu) = yhat + mu a + mu^2 b``.

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
    moved = (hidden @ x.T) * made.mask
    return (back.T @ made.activations + output[made.live].T @ moved).T, (back.T @ moved).T


def gradients(x: Tensor, made: Pass, output: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the hidden and output weights, ``[m, d]`` and ``[m, k]``, at fixed gates.

    With ``P_j = (D_j X)^T R`` the protocol's formulas are ``grad w1_j = P_j w2_j`` and ``grad w2_j = P_j^T w1_j``. They
    are computed as ``X^T (mask_j * (R w2_j))`` and ``z_j^T R`` with the activations ``z_j``, without a ``d x k`` block.

    Parameters
    ----------
    x
        Inputs ``[b, d]``.
    made
        Forward pass of the inputs.
    output
        Output weights ``[m, k]``.
    residual
        Gradient of the loss with respect to the predictions, ``R``, ``[b, k]``.
    """
    hidden = x.new_zeros(len(output), x.shape[1])
    hidden[made.live] = ((output[made.live] @ residual.T.contiguous()) * made.mask) @ x
    back = output.new_zeros(output.shape)
    back[made.live] = made.activations @ residual
    return hidden, back


def fused_gradients(
    features: Tensor, targets: Tensor, hidden: Tensor, output: Tensor, classes: bool
) -> tuple[float, tuple[Tensor, Tensor]]:
    """Return the loss and the gradients of all hidden and output weights, computed by the compiled kernels.

    The result equals that of :func:`forward` and :func:`gradients` with gates that follow the weights, but takes one
    pass over a batch.

    Parameters
    ----------
    features
        Inputs feature by feature, ``[d, b]``.
    targets
        Targets ``[b, k]``.
    hidden, output
        Weights ``[m, d]`` and ``[m, k]``; the hidden weights may be sparse or dense.
    classes
        Whether the loss is the cross-entropy instead of the mean squared error.
    """
    from mlpiht_cli.linalg.backprop import DENSE_SHARE, Batch, Network, gradient, layout  # loads numba

    live = hidden.any(dim=1).nonzero().flatten()
    first, last = hidden[live].numpy(), output[live].T.contiguous().numpy()
    stored = first != 0
    dense = bool(stored.size and stored.mean() >= DENSE_SHARE)
    stored |= dense
    every = np.ones(last.shape, dtype=bool)
    layers = layout(stored, 0, dense), layout(every, int(stored.sum()), True)
    gradients_ = layout(stored, 0, True), layout(every, stored.size, True)
    net = Network(layers, (layout(every.T, 0, True),), gradients_, classes)
    batch = Batch(features.numpy(), targets.T.contiguous().numpy(), 0, len(targets), CHUNK)
    values = np.concatenate([first[stored], last.ravel()]), last.T.ravel()
    slope, loss = gradient(batch, net, values)
    made = torch.from_numpy(slope).to(hidden.dtype)
    out = torch.zeros_like(hidden), torch.zeros_like(output)
    out[0][live], out[1][live] = made[: stored.size].view(stored.shape), made[stored.size :].view(last.shape).T
    return loss, out
