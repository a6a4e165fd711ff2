"""Iterative magnitude pruning (IMP): train the dense network, prune, rewind, repeat (P1's baseline)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.training import Trainer, Training
from mlpiht_cli.core.fit import Path, Reached
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def prune(weights: Sequence[Tensor], masks: Sequence[Tensor], rate: float) -> list[Tensor]:
    """Drop the share ``rate`` of the remaining weights of all layers together, smallest magnitude first.

    The number is rounded to the nearest integer (halves to even) and is at least one; among equal magnitudes
    the highest position goes first.

    Returns
    -------
    list of Tensor
        New bool masks of the layers' shapes.
    """
    alive = torch.nonzero(torch.cat([mask.flatten() for mask in masks])).flatten()
    magnitude = torch.cat([weight.flatten() for weight in weights])[alive].abs()
    keep = len(alive) - max(1, round(rate * len(alive)))
    flat = torch.zeros(sum(mask.numel() for mask in masks), dtype=torch.bool, device=alive.device)
    if keep:
        # A weight of exactly zero is a weight all the same here, so zeros are lifted above "nothing".
        lifted = magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny)
        flat[alive[top_s(lifted, keep)]] = True
    parts = torch.split(flat, [mask.numel() for mask in masks])
    return [part.view_as(mask) for part, mask in zip(parts, masks, strict=True)]


def fused(layers: Sequence[Tensor]) -> SparseMLP:
    """Return the same function of one output with the output weights ``v`` multiplied in, as IHT counts weights.

    ``v_j relu(w_j . x) = sign(v_j) relu(|v_j| w_j . x)``: the last hidden layer's weights are scaled, and signs, which
    nobody counts, remain.

    Parameters
    ----------
    layers
        Weights of all layers, each ``[out, in]``, the last one ``[1, m]``.
    """
    *hidden, output = layers
    scaled = [*hidden[:-1], hidden[-1] * output.T.abs()]
    return SparseMLP(tuple(SparseMatrix.from_dense(layer) for layer in scaled), output[0].sign())


def rounds(method: IMP | IMPFused, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Path:
    """Train, prune and rewind until the network fits the least budget: the one run that passes every budget.

    A budget is answered by the first network whose weights, zeros among them included, fit it.
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

    rate: float = Field(0.1, gt=0, lt=1, description="share of the remaining weights pruned each round")
    evaluate: Literal["after_prune", "after_retrain"] = Field(
        "after_prune", description="score right after a prune (paper) or after training at that mask (usual)"
    )


class IMP(Pruning, Training, Method):
    """Iterative magnitude pruning with rewinding (lottery ticket), Adam, no biases.

    The paper's protocol scores the network right after a prune, *before* it is trained at that mask
    (``evaluate: after_prune``); the usual lottery-ticket protocol trains first (``after_retrain``).
    Counts ``m (d + k)`` weights, whereas scalar IHT counts ``m d`` fused ones; see :class:`IMPFused`.
    """

    name: ClassVar[str] = "imp"
    version: ClassVar[int] = 1

    def network(self, layers: Sequence[Tensor]) -> SparseMLP:
        """Return the network of the layers ``[out, in]``."""
        return SparseMLP(tuple(SparseMatrix.from_dense(layer) for layer in layers))

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Path:
        """Run :func:`rounds`."""
        return rounds(self, problem, shape, budgets, streams)


class IMPFused(Pruning, Training, Method):
    """IMP whose networks of one output are counted, and answered, as IHT's are: output weights multiplied in.

    The same trajectory, but a budget is answered by the first round whose *fused* nonzeros fit it.
    """

    name: ClassVar[str] = "imp_fused"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(outputs=1, instead="imp")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Fused weights, as IHT counts them."""
        return shape.m * (d + (shape.depth - 1) * shape.m)

    def network(self, layers: Sequence[Tensor]) -> SparseMLP:
        """See :func:`fused`."""
        return fused(layers)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Path:
        """Run :func:`rounds`."""
        return rounds(self, problem, shape, budgets, streams)
