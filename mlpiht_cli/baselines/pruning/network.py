"""A network whose mask changes while Adam trains it: what all methods of this package share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.compact import Part, compact
from mlpiht_cli.baselines.imp import fused
from mlpiht_cli.baselines.networks import TorchNetwork, TrainedNetwork
from mlpiht_cli.baselines.optimisers import Adam, Past
from mlpiht_cli.baselines.pruning.relaxed import Relaxed, flat, split
from mlpiht_cli.baselines.training import Trainer
from mlpiht_cli.core.fit import Diverged, Events, Fact, Reached, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


class SparseTraining(Settings):
    """Settings of a method that trains a network under a mask; every budget has its own run.

    Mixin; list it before ``Method``, because it overrides some of its attributes.
    """

    unhinted: ClassVar[frozenset[str]] = frozenset({"dtype"})  # trained in float32, as imp is

    count: Literal["layers", "fused"] = Field(
        "layers",
        description="weights that the budget counts: those of all layers, or (one output) as IHT counts them, with the "
        "output weights multiplied into the last hidden layer: they are trained and never pruned",
    )
    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(150, ge=1, description="passes over the data, all phases of the method together")
    lr: float = Field(1e-3, gt=0, allow_inf_nan=False, description="Adam's largest step size")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="step size of a training phase: constant, or falling to 0 along half a cosine"
    )

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights that the budget counts."""
        return shape.weights(d, k) - (shape.m * k if self.count == "fused" else 0)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one output if fused weights are counted."""
        if self.count == "fused" and problem.k != 1:
            return f"count: fused needs one output, the problem has {problem.k}; set count to layers"
        return None


class SparseNetwork:
    """Weights, masks and Adam's moments of all layers, and the order of the batches.

    Attributes
    ----------
    weights
        Weights of the layers, input side first, each ``[out, in]``; 0 outside the masks.
    masks
        Bool masks of the same shapes.
    steps
        Steps of all passes over the data that the settings allow.
    """

    def __init__(self, settings: SparseTraining, problem: Problem, shape: Shape, streams: Streams) -> None:
        self._settings, self._problem = settings, problem
        self._trainer = Trainer(problem, shape, streams, settings.batch)
        self.weights = [weight.clone() for weight in self._trainer.initial]
        self.masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self.weights]
        self.steps = settings.epochs * self._trainer.batches.per_epoch
        self._order: Tensor | None = None
        self._spans: list[tuple[int, int]] = []  # of the epoch that runs
        self._place = 0  # of the next batch in it
        self.begin(self.steps)

    @property
    def counted(self) -> int:
        """Number of layers, from the input side on, whose weights the budget counts; the others are never pruned."""
        return len(self.weights) - (self._settings.count == "fused")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Outputs and inputs of the counted layers."""
        return [(len(mask), mask.shape[1]) for mask in self.masks[: self.counted]]

    @property
    def total(self) -> int:
        """Number of weights of the counted layers, within the masks and outside."""
        return sum(mask.numel() for mask in self.masks[: self.counted])

    @property
    def kept(self) -> int:
        """Number of counted weights within the masks."""
        return sum(int(mask.sum()) for mask in self.masks[: self.counted])

    def begin(self, steps: int) -> None:
        """Begin a phase of training: fresh moments, and a schedule of the step size over ``steps`` steps."""
        self._moments = [[torch.zeros_like(weight) for weight in self.weights] for _ in range(2)]
        self._done, self._phase = 0, steps

    def rate(self) -> float:
        """Step size of the next step."""
        lr, share = self._settings.lr, self._done / max(1, self._phase)
        return lr if self._settings.schedule == "constant" else lr * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))

    def train(self, steps: int) -> Iterator[Step]:
        """Take steps of Adam on the weights within the masks, and yield each.

        Raises
        ------
        Diverged
            The weights are not finite after the steps.
        """
        if steps <= 0:
            return
        parts = compact(self.masks)
        network = self._trainer.network(parts, self.weights)
        taken = ([part.take(one) for part, one in zip(parts, moment, strict=True)] for moment in self._moments)
        means, squares = (network.values(moment) for moment in taken)
        adam = Adam(network.parameters, self._settings.lr, Past(means, squares, self._done))
        losses: list[Tensor | float] = []
        if self._spans:
            network.arrange(self._order, self._spans)
        for _ in range(steps):
            self._turn(network)
            (first, last), adam.lr = self._spans[self._place], self.rate()
            losses.append(network.backward(first, last))
            adam.step()
            self._place, self._done = self._place + 1, self._done + 1
            if self._trainer.compiled:  # a GPU is waited for once, at the end
                yield Step(float(losses.pop()), share=(last - first) / self._problem.n)
        self.weights = self._restored(parts, self.weights, network.weights())
        for i, moment in enumerate(adam.moments):
            self._moments[i] = self._restored(parts, self._moments[i], network.layers(moment))
        yield from (Step(float(loss), share=1.0 / self._trainer.batches.per_epoch) for loss in losses)
        if not all(bool(weight.isfinite().all()) for weight in self.weights):
            raise Diverged("the weights left the finite numbers")

    def relax(self, relaxed: Relaxed, steps: int) -> Iterator[Step]:
        """Take steps on parameters that stand for the weights of all layers, and yield each; masks play no part.

        The steps end early when the parameters say so. The network's own weights do not change; see :meth:`put`.

        Raises
        ------
        Diverged
            The parameters do not stand for finite weights after the steps.
        """
        parts = compact([torch.ones_like(mask) for mask in self.masks])
        network = self._trainer.network(parts, self.weights)  # its parameters hold the layers one after the other
        losses: list[Tensor | float] = []
        if self._spans:
            network.arrange(self._order, self._spans)
        for _ in range(steps):
            self._turn(network)
            first, last = self._spans[self._place]
            with torch.no_grad():
                for own, new in zip(network.parameters, split(relaxed.weights(), network.parameters), strict=True):
                    own.copy_(new)
            losses.append(network.backward(first, last))
            slope = torch.cat([own.grad.flatten() for own in network.parameters if own.grad is not None])
            goes_on = relaxed.step(slope, losses[-1], self.rate())
            self._place, self._done = self._place + 1, self._done + 1
            if self._trainer.compiled:
                yield Step(float(losses.pop()), share=(last - first) / self._problem.n)
            if not goes_on:
                break
        yield from (Step(float(loss), share=1.0 / self._trainer.batches.per_epoch) for loss in losses)
        if not bool(relaxed.weights().isfinite().all()):
            raise Diverged("the weights left the finite numbers")

    def put(self, values: Tensor) -> None:
        """Set the weights of all layers, given one after the other and row by row ``[N]``; masks stay as they are."""
        self.weights = [new.clone() for new in split(values, self.weights)]

    def _turn(self, network: TrainedNetwork) -> None:
        """Begin the next epoch if the last one is over."""
        if self._next_epoch():
            network.arrange(self._order, self._spans)

    def _next_epoch(self) -> bool:
        """Draw the next epoch if the last one is over, and return whether it was."""
        if self._place < len(self._spans):
            return False
        (self._order, self._spans), self._place = self._trainer.batches.next_epoch(), 0
        return True

    def _restored(self, parts: Sequence[Part], full: Sequence[Tensor], inner: Sequence[Tensor]) -> list[Tensor]:
        return [part.put(one, new) for part, one, new in zip(parts, full, inner, strict=True)]

    def batch(self) -> Problem:
        """Return the problem of the next batch's samples; training goes on with that batch."""
        self._next_epoch()
        first, last = self._spans[self._place]
        rows = slice(first, last) if self._order is None else self._order[first:last]
        return replace(self._problem, x=self._problem.x[rows], y=self._problem.y[rows])

    def gradients(self, batch: Problem) -> tuple[list[Tensor], Step]:
        """Return the loss's gradient on a batch for *all* weights, also outside the masks, and the step it counts as.

        The step has the loss and the batch's share of the samples.
        """
        every = compact([torch.ones_like(mask) for mask in self.masks])
        network = TorchNetwork(batch, every, self.weights)
        loss = network.backward(0, batch.n)
        found = [weight.grad for weight in network.parameters if weight.grad is not None]
        return found, Step(float(loss), share=batch.n / self._problem.n)

    def magnitudes(self) -> list[Tensor]:
        """Return the magnitude of the counted weights, layer by layer; of fused weights where those are counted."""
        found = [weight.abs() for weight in self.weights[: self.counted]]
        if self.counted < len(self.weights):
            found[-1] = found[-1] * self.weights[-1].abs().T
        return found

    def keep(self, masks: Sequence[Tensor]) -> None:
        """Set the masks of the counted layers; what leaves them becomes 0, with its moments."""
        self.masks[: len(masks)] = list(masks)
        for values in (self.weights, *self._moments):
            values[:] = [torch.where(mask, value, 0.0) for value, mask in zip(values, self.masks, strict=True)]

    def regrow(self, masks: Sequence[Tensor]) -> None:
        """Set the masks of the counted layers; what joins them begins at its initial value."""
        joins = [mask & ~before for mask, before in zip(masks, self.masks, strict=False)]
        self.keep(masks)
        for i, join in enumerate(joins):
            self.weights[i] = torch.where(join, self._trainer.initial[i], self.weights[i])

    def keep_best(self, scores: Sequence[Tensor], count: int, within: Sequence[Tensor] | None = None) -> None:
        """Keep the ``count`` counted weights of largest score, of all layers together; see :func:`best`."""
        self.keep(best(scores, count, within))

    def adopt(self, values: Tensor, spare: Tensor, budget: int) -> int:
        """Set the weights of all layers ``[N]``, keep the nonzeros, and return how many counted ones there are.

        If they are fewer than the budget, numbers of ``spare`` ``[N]`` fill up in place of zeros, largest first.
        """
        self.put(spare)
        second = flat(self.magnitudes())
        self.put(torch.where(values == 0, spare, values))
        found = torch.where(values[: self.total] == 0, second - second.amax() - 1.0, flat(self.magnitudes()))
        alive = int(torch.count_nonzero(values[: self.total]))
        self.keep_best(split(found, self.masks[: self.counted]), max(alive, budget))
        return alive

    def finish(self, budget: int, steps: int, facts: Mapping[str, Fact] | None = None) -> Events:
        """Prune to the budget by magnitude where that is still needed, train a last phase, and yield the network.

        The fact ``pruned`` is the number of weights that this last prune takes; ``facts`` are more of them.
        """
        pruned = max(0, self.kept - budget)
        if pruned:
            self.keep_best(self.magnitudes(), budget, self.masks)
        self.begin(steps)
        yield from self.train(steps)
        yield Reached(self.model(), facts={"pruned": pruned, **(facts or {})})

    def model(self) -> SparseMLP:
        """Return the network as the budget counts its weights."""
        if self.counted < len(self.weights):
            return fused(self.weights)
        return SparseMLP(tuple(SparseMatrix.from_dense(weight) for weight in self.weights))


def best(scores: Sequence[Tensor], count: int, within: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Return masks of the ``count`` entries of largest score, of all layers together.

    Parameters
    ----------
    scores
        Scores of the layers' weights, each ``[out, in]``, of either sign. Of equal ones the lowest positions are kept.
    count
        Number of entries to keep: as many as there are candidates, if those are fewer.
    within
        Bool masks of the candidates; all weights if None. Further masks, of layers without scores, are ignored.
    """
    every = flat(scores)
    places = torch.arange(len(every), device=every.device)
    if within is not None:
        places = places[torch.cat([mask.flatten() for mask in within[: len(scores)]])]
    chosen = torch.zeros(len(every), dtype=torch.bool, device=every.device)
    chosen[places[every[places].argsort(descending=True, stable=True)[:count]]] = True
    parts = torch.split(chosen, [score.numel() for score in scores])
    return [part.view_as(score) for part, score in zip(parts, scores, strict=True)]
