"""Iterative magnitude pruning (IMP): train the dense network, prune, rewind, repeat (P1's baseline)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.training import Trainer, Training
from mlpiht_cli.core.fit import Events, Reached
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def dropped(remaining: int, total: int, rate: float) -> int:
    """Return how many of the ``remaining`` weights a round drops: a share of about ``rate``, and at least one.

    The reference code of P1 computes the share from all ``total = N`` weights as ``1 - ((1 - rate) N) / N``. In
    floating point this is mostly a hair below .1, so that halves round down: 15 weights lose 1 and 35 lose 3 (protocol,
    section 2).
    """
    return max(1, round((1.0 - (1.0 - rate) * total / total) * remaining))


def prune(weights: Sequence[Tensor], masks: Sequence[Tensor], rate: float) -> list[Tensor]:
    """Drop the share ``rate`` of the remaining weights of all layers together, smallest magnitude first.

    The number of dropped weights is that of :func:`dropped`. Of equal magnitudes the highest position is dropped first.

    Returns
    -------
    list of Tensor
        New bool masks of the layers' shapes.
    """
    alive = torch.nonzero(torch.cat([mask.flatten() for mask in masks])).flatten()
    magnitude = torch.cat([weight.flatten() for weight in weights])[alive].abs()
    keep = len(alive) - dropped(len(alive), sum(mask.numel() for mask in masks), rate)
    flat = torch.zeros(sum(mask.numel() for mask in masks), dtype=torch.bool, device=alive.device)
    if keep:
        # A weight of exactly zero counts as a weight here, so zeros are raised above 0.
        lifted = magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny)
        flat[alive[top_s(lifted, keep)]] = True
    parts = torch.split(flat, [mask.numel() for mask in masks])
    return [part.view_as(mask) for part, mask in zip(parts, masks, strict=True)]


def fused(layers: Sequence[Tensor]) -> SparseMLP:
    """Return the same network of one output with the output weights ``v`` multiplied in, as IHT counts weights.

    ``v_j relu(w_j . x) = sign(v_j) relu(|v_j| w_j . x)``: the weights of the last hidden layer are scaled, and output
    signs remain, which do not count as weights.

    Parameters
    ----------
    layers
        Weights of all layers, each ``[out, in]``, the last one ``[1, m]``.
    """
    *hidden, output = layers
    scaled = [*hidden[:-1], hidden[-1] * output.T.abs()]
    return SparseMLP(tuple(SparseMatrix.from_dense(layer) for layer in scaled), output[0].sign())


def rounds(method: IMP | IMPFused, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
    """Train, prune and rewind until the network fits the smallest budget; one run reaches every budget.

    The first network whose number of weights, including weights that are zero, fits a budget answers it.
    """
    trainer = Trainer(problem, shape, streams, method.batch)
    masks = [torch.ones_like(weight, dtype=torch.bool) for weight in trainer.initial]
    waiting, is_early = list(budgets), method.evaluate == "after_prune"
    while waiting:
        weights = yield from trainer.train(masks, method.epochs, method.lr)
        if is_early:
            masks = prune(weights, masks, method.rate)
        counted = sum(len(layer.index) for layer in method.network([mask.float() for mask in masks]).layers)
        while waiting and counted <= waiting[0]:
            layers = [weight * mask for weight, mask in zip(weights, masks, strict=True)]
            yield Reached(method.network(layers), waiting.pop(0))
        if waiting and not is_early:
            masks = prune(weights, masks, method.rate)


class Pruning(Settings):
    """Settings of iterative magnitude pruning."""

    rate: float = Field(0.1, gt=0, lt=1, description="share of the remaining weights that each round prunes")
    evaluate: Literal["after_prune", "after_retrain"] = Field(
        "after_prune", description="score right after a prune (paper) or after training with the new mask (usual)"
    )


class IMP(Pruning, Training, Method):
    """Iterative magnitude pruning with rewinding (lottery ticket), Adam, no biases.

    The paper's protocol scores the network right after a prune, *before* it is trained with the new mask
    (``evaluate: after_prune``). The usual lottery-ticket protocol trains first (``after_retrain``). IMP counts
    ``m (d + k)`` weights, but IHT with one output counts ``m d`` fused weights, as ``imp_fused`` does.
    """

    name: ClassVar[str] = "imp"
    version: ClassVar[int] = 2

    def network(self, layers: Sequence[Tensor]) -> SparseMLP:
        """Return the network of the layers ``[out, in]``."""
        return SparseMLP(tuple(SparseMatrix.from_dense(layer) for layer in layers))

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run :func:`rounds`."""
        return rounds(self, problem, shape, budgets, streams)


class IMPFused(Pruning, Training, Method):
    """IMP that counts and returns networks of one output as IHT does: with the output weights multiplied in.

    The trajectory is that of IMP, but the first round whose *fused* nonzeros fit a budget answers it.
    """

    name: ClassVar[str] = "imp_fused"
    version: ClassVar[int] = 2
    needs: ClassVar[Needs] = Needs(outputs=1, instead="imp")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of fused weights, as IHT counts them."""
        return shape.m * (d + (shape.depth - 1) * shape.m)

    def network(self, layers: Sequence[Tensor]) -> SparseMLP:
        """Return the fused network of the layers ``[out, in]``; see :func:`fused`."""
        return fused(layers)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run :func:`rounds`."""
        return rounds(self, problem, shape, budgets, streams)
