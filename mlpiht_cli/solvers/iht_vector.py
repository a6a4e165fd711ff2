"""Iterative hard thresholding for several outputs: hidden and output weights share one budget (P1, section 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.fit import Events, Reached, Step
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Loss, Problem
from mlpiht_cli.linalg import network
from mlpiht_cli.linalg.countsketch import HASHES, CountSketch, sketch_width
from mlpiht_cli.linalg.gated import compiled
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import searched_step
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.layerwise import Layerwise
from mlpiht_cli.solvers.passes import Passes

if TYPE_CHECKING:
    from torch import Tensor

# Fixed steps of the reference code of P1 (protocol, section 1).
STEP = 0.005
STEP_SPARSE = 2.0  # for budgets s < SPARSE_FACTOR * m ** SPARSE_POWER
SPARSE_FACTOR, SPARSE_POWER = 6.0, 0.536
STEP_CLASSES = 0.001  # with cross-entropy

RESIDUALS: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": lambda prediction, y: (prediction - y) / len(y),
    "cross_entropy": lambda logits, y: (torch.softmax(logits, dim=1) - y) / len(y),
}


def paper_step(m: int, s: int, loss: Loss) -> float:
    """Return the fixed step of the reference code."""
    if loss == "cross_entropy":
        return STEP_CLASSES
    return STEP_SPARSE if s < SPARSE_FACTOR * m**SPARSE_POWER else STEP


class IHTVector(Passes, Method):
    """IHT for networks ``yhat = sum_j 1[X h_j > 0] (X w1_j) w2_j^T`` with one or more outputs.

    ``selection`` sets which entries are kept:

    - count_sketch: the largest *accumulated* updates as a Count Sketch estimates them (the idea of MISSION, Aghazadeh
      et al. 2018).
    - accumulated: the largest accumulated updates exactly; this takes ``m (d + k)`` numbers of memory.
    - magnitude: the largest weights.
    """

    name: ClassVar[str] = "iht_vector"
    version: ClassVar[int] = 2

    selection: Literal["count_sketch", "accumulated", "magnitude"] = Field(
        "count_sketch",
        description="entries kept: largest accumulated updates, sketched (paper) or exact, or largest weights",
    )
    step: Literal["paper", "safeguarded"] = Field(
        "paper", description="fixed step, or a step searched along the gradient that cannot increase the batch's loss"
    )
    reinit: Literal["every_epoch", "first_step"] = Field(
        "every_epoch",
        description="when blocks of neurons whose largest weight is 0 restart from small random weights; every_epoch "
        "(paper) applies to the minibatch form",
    )

    @property
    def in_kernels(self) -> bool:
        """False for a searched step: it needs predictions along a ray, which torch computes."""
        return self.step == "paper"

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of all hidden and output weights."""
        return shape.m * (d + (shape.depth - 1) * shape.m + k)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget, layer by layer."""
        return Layerwise(self).iterate(problem, shape, budgets[0], streams)

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        """Run IHT with one hidden layer and an output layer."""
        run = _Run(self, problem, m, budget, streams)
        for loss in run.losses():
            yield Step(loss, float(run.weights.sum()))
        yield Reached(run.model())


class _Selection:
    """Selects the ``s`` entries of weights ``[m, d + k]`` that stay after an update."""

    def __init__(self, s: int, kind: str, sketch: CountSketch | None, like: Tensor) -> None:
        self._s, self._kind, self._sketch = s, kind, sketch
        self._sum = like.new_zeros(like.numel()) if sketch is None else sketch.empty()

    def keep(self, weights: Tensor, update: Tensor) -> Tensor:
        """Return ``weights + update`` with all other entries set to zero."""
        moved = (weights + update).flatten()
        # A zero entry (a pixel that is black in all images) is never selected, even if the sketch ranks it high.
        rank = self._rank(moved, update.flatten()) * (moved != 0)
        keep = top_s(rank, self._s)
        kept = torch.zeros_like(moved)
        kept[keep] = moved[keep]
        return kept.view_as(weights)

    def _rank(self, moved: Tensor, update: Tensor) -> Tensor:
        """Return the values that rank the entries, ``[m * (d + k)]``."""
        if self._kind == "magnitude":
            return moved
        self._sum += update if self._sketch is None else self._sketch.encode(update)
        return self._sum if self._sketch is None else self._sketch.estimate(self._sum)


class _Batch(NamedTuple):
    """Batch of one step, ``[d, b]`` and ``[b, k]``, and its gates ``[m, d]`` (None: gates follow the weights)."""

    features: Tensor
    y: Tensor
    gates: Tensor | None

    @property
    def x(self) -> Tensor:
        """Inputs sample by sample, ``[b, d]``."""
        return self.features.T


class _Run:
    """State of one fit: weights ``[m, d + k]`` (each row is w1, then w2, of a neuron), step, accumulated updates."""

    def __init__(self, method: IHTVector, problem: Problem, m: int, s: int, streams: Streams) -> None:
        self._method, self._problem = method, problem
        self._batches = Batches(problem, method.batch, streams.batch_order())
        self._random, self._revival = streams.gates(problem.d), streams.revival()
        self._step = paper_step(m, s, problem.loss)
        self._fused = method.in_kernels and compiled(problem.x.device)
        self.weights = problem.x.new_zeros(m, problem.d + problem.k)
        size, sketch = self.weights.numel(), None
        kind = method.selection
        if kind == "count_sketch":
            sketch = CountSketch(size, sketch_width(size, s), streams.hashes(HASHES), problem.x.device)
        self._selection = _Selection(s, kind, sketch, self.weights)

    def model(self) -> SparseMLP:
        """Return the current network."""
        hidden, output = self._parts(self.weights)
        return SparseMLP((SparseMatrix.from_dense(hidden), SparseMatrix.from_dense(output.T)))

    def losses(self) -> Iterator[float]:
        """Take all steps; yield the loss of each batch before its step."""
        drawn = torch.from_numpy(self._random.rows(0, len(self.weights)))
        random = drawn.to(self.weights.device, self.weights.dtype)
        for epoch in range(self._method.passes):
            # Random gates stay for the whole first epoch; after it the gates follow the weights.
            gates = random if epoch == 0 else None
            revive = epoch == 0 or (self._method.reinit == "every_epoch" and not self._batches.full)
            for features, y in self._batches.epoch():
                batch = _Batch(features, y, gates)
                yield self._advance(batch, self._revived() if revive else self.weights)
                revive = False

    def _advance(self, batch: _Batch, start: Tensor) -> float:
        """Take a step from ``start``; return the loss of the network before the step.

        Residual and gates are those of the network before blocks were restarted, as in the reference code.
        """
        if self._fused and start is self.weights and batch.gates is None:
            return self._fused_advance(batch)
        here = made = self._forward(batch, self.weights)
        if start is not self.weights:
            made = network.with_weights(batch.x, here, *self._parts(start))
        residual = RESIDUALS[self._problem.loss](here.prediction, batch.y)
        slopes = network.gradients(batch.x, made, self._parts(start)[1], residual)
        step = self._step
        if self._method.step == "safeguarded":
            step = self._descent(batch, start, made, slopes)
            self._step = step or self._step
        self.weights = self._selection.keep(start, -step * torch.cat(slopes, dim=1))
        return self._loss(batch, here.prediction)

    def _fused_advance(self, batch: _Batch) -> float:
        """Take the fixed step of a network whose gates follow its weights, in one pass over the batch."""
        classes = self._problem.loss == "cross_entropy"
        loss, slopes = network.fused_gradients(batch.features, batch.y, *self._parts(self.weights), classes)
        # The residual (protocol, section 1) is the gradient of half the squared error, summed over the outputs.
        scale = 1.0 if classes else batch.y.shape[1] / 2.0
        self.weights = self._selection.keep(self.weights, -self._step * scale * torch.cat(slopes, dim=1))
        return loss

    def _descent(self, batch: _Batch, start: Tensor, here: network.Pass, slopes: tuple[Tensor, Tensor]) -> float:
        """Return the size of a gradient step that does not increase the loss of the batch at fixed gates."""
        first, second = network.along(batch.x, here, self._parts(start)[1], slopes)

        def loss_at(step: float) -> float:
            return self._loss(batch, here.prediction - step * first + step**2 * second)

        return searched_step(loss_at, self._step, self._loss(batch, here.prediction))

    def _forward(self, batch: _Batch, weights: Tensor) -> network.Pass:
        return network.forward(batch.x, *self._parts(weights), batch.gates)

    def _loss(self, batch: _Batch, prediction: Tensor) -> float:
        return float(LOSSES[self._problem.loss](prediction, batch.y))

    def _parts(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        return weights[:, : self._problem.d], weights[:, self._problem.d :]

    def _revived(self) -> Tensor:
        """Restart blocks whose largest entry is 0: uniform on +-1/sqrt(d m) (hidden) and +-1/sqrt(m k) (output).

        Largest is meant literally (protocol, section 1): sparse blocks without a positive entry restart too.
        """
        out = self.weights.clone()
        for part in self._parts(out):
            bound = 1.0 / math.sqrt(part.numel())
            drawn = torch.from_numpy(self._revival.uniform(-bound, bound, size=part.shape)).to(out.device, out.dtype)
            part[...] = torch.where(part.amax(dim=1, keepdim=True) == 0, drawn, part)
        return out
