"""Iterative magnitude pruning (IMP): train the dense network, prune, rewind, repeat (P1's baseline)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.training import Trained, Trainer
from mlpiht_cli.core.method import Callback, Fit, Shape, Status, ignore
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
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


class IMP(Trained):
    """Iterative magnitude pruning with rewinding (lottery ticket), Adam, no biases.

    The paper's protocol scores the network right after a prune, *before* it is trained at that mask
    (``evaluate: after_prune``); the usual lottery-ticket protocol trains first (``after_retrain``).
    Counts ``m (d + k)`` weights, whereas scalar IHT counts ``m d`` fused ones; see :class:`IMPFused`.
    """

    version: ClassVar[int] = 1

    rate: float = Field(0.1, gt=0, lt=1, description="share of the remaining weights pruned each round")
    evaluate: Literal["after_prune", "after_retrain"] = Field(
        "after_prune", description="score right after a prune (paper) or after training at that mask (usual)"
    )

    def network(self, layers: Sequence[Tensor]) -> SparseMLP:
        """Return the network of the layers ``[out, in]``, in the form whose nonzeros count against the budget."""
        return SparseMLP(tuple(SparseMatrix.from_dense(layer) for layer in layers))

    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield each budget's network as the one trajectory reaches it, largest budget first."""
        wanted = sorted(set(budgets), reverse=True)
        trajectory = _Trajectory(self, problem, shape, streams, callback)
        while wanted:
            diverged = trajectory.train()
            if diverged or self.evaluate == "after_retrain":
                while wanted and (diverged or trajectory.counted <= wanted[0]):
                    yield trajectory.fit(wanted.pop(0), diverged)
            if not wanted:
                return
            trajectory.prune()
            if self.evaluate == "after_prune":
                while wanted and trajectory.counted <= wanted[0]:
                    yield trajectory.fit(wanted.pop(0), diverged)


class IMPFused(IMP):
    """IMP whose networks of one output are counted, and answered, as IHT's are: output weights multiplied in.

    The same trajectory, but a budget is answered by the first round whose *fused* nonzeros fit it.
    """

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Fused weights, as IHT counts them."""
        return shape.m * (d + (shape.depth - 1) * shape.m)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """One output."""
        return None if problem.k == 1 else f"imp_fused needs one output, the problem has {problem.k}; use imp"

    def network(self, layers: Sequence[Tensor]) -> SparseMLP:
        """See :func:`fused`."""
        return fused(layers)


class _Trajectory:
    """The one run that passes every budget: the trainer, and the current masks and weights."""

    def __init__(self, method: IMP, problem: Problem, shape: Shape, streams: Streams, callback: Callback) -> None:
        self._method, self._callback = method, callback
        self._trainer = Trainer(problem, shape, streams, method.batch, method.dtype)
        self._masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self._trainer.initial]
        self._weights = self._trainer.initial

    @property
    def counted(self) -> int:
        """Weights that count against the budget: those the masks leave, zeros among them included."""
        return sum(len(layer.index) for layer in self._method.network([mask.float() for mask in self._masks]).layers)

    def train(self) -> str:
        """Rewind the survivors, train them with a fresh Adam; return why that diverged, or nothing."""
        found, diverged = self._trainer.train(self._masks, self._method.epochs, self._method.lr, self._callback)
        self._weights = found
        return diverged

    def prune(self) -> None:
        """Drop the smallest of the remaining weights."""
        self._masks = prune(self._weights, self._masks, self._method.rate)

    def fit(self, budget: int, diverged: str) -> Fit:
        """The network as it stands, for one budget."""
        layers = [
            torch.zeros_like(weight) if diverged else weight * mask
            for weight, mask in zip(self._weights, self._masks, strict=True)
        ]
        history = tuple(self._trainer.history)
        status = Status.DIVERGED if diverged else Status.OK
        return Fit(self._method.network(layers), budget, len(history), status, history=history, reason=diverged)
