"""Iterative hard thresholding for several outputs: hidden and output weights share one budget (P1, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.fit import Events, Reached, Step
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.linalg.blockwise import BlockSelection, NoBuckets, OwnBuckets, Update
from mlpiht_cli.linalg.countsketch import HASHES, sketch_width
from mlpiht_cli.linalg.gated import TorchOperator, compiled
from mlpiht_cli.linalg.gates import TILE, GateRule, RandomGates, SomeGates, WeightGates, rows_at
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import searched_step
from mlpiht_cli.linalg.vector import Neurons, VectorProducts, Weights
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
LARGEST = 2**31
"""Number of weights that the codes of a sketch cannot count any more."""

Slopes = Callable[[], Iterator[tuple[Neurons, "Tensor"]]]
"""Gives the neurons of a step, a tile at a time, and the gradients of their weights ``[t, d + k]``."""


def squared(prediction: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean squared error, and the residual ``(yhat - y) / n``; arguments and residual are ``[k, n]``."""
    gap = prediction - y
    flat = gap.flatten()
    return torch.dot(flat, flat) / y.numel(), gap.div_(y.shape[1])


def cross_entropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy, and the residual ``(softmax(yhat) - y) / n``; see :func:`squared`."""
    log_probability = torch.log_softmax(logits, dim=0)
    return -(log_probability * y).sum() / y.shape[1], (log_probability.exp() - y) / y.shape[1]


RESIDUALS: dict[Loss, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "squared": squared,
    "cross_entropy": cross_entropy,
}
"""Loss and residual of the protocol (section 1) by the name of the loss."""


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

    Everything else in memory grows with ``s`` and not with ``m``: the entries held, the sketch, and one tile of
    neurons. Masks of the batch's samples take a bounded share of the data's memory (on a GPU, 256 MiB).
    ``selection_order: global`` computes the gradients of more than one tile twice.
    """

    name: ClassVar[str] = "iht_vector"
    version: ClassVar[int] = 3

    selection: Literal["count_sketch", "accumulated", "magnitude"] = Field(
        "count_sketch",
        description="entries kept: largest accumulated updates, sketched (paper) or exact, or largest weights",
    )
    selection_order: Literal["blocks", "global"] = Field(
        "blocks",
        description="whether the blocks of weights are selected one after the other, neuron by neuron (paper), or all "
        "together",
    )
    step: Literal["paper", "safeguarded"] = Field(
        "paper", description="fixed step, or a step searched along the gradient that cannot increase the batch's loss"
    )
    reinit: Literal["every_epoch", "first_step"] = Field(
        "every_epoch",
        description="when blocks of neurons whose largest weight is 0 restart from small random weights; every_epoch "
        "(paper) applies to the minibatch form (batch > 0); a block restarts from the same numbers every time",
    )

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require fewer than 2^31 weights in every layer, if a sketch counts them."""
        widest = max(shape.m * (inputs + problem.k) for inputs in (problem.d, *[shape.m] * (shape.depth - 1)))
        if widest >= LARGEST and self.selection != "magnitude":
            return f"its sketch counts fewer than 2^31 weights, a layer has {widest:,}; selection=magnitude counts none"
        return super().supports(problem, shape)

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
            check = sum(float(part.values.sum()) for part in run.weights.parts)
            yield Step(loss, check, network=partial(_model, run.weights), share=1.0 / run.per_epoch)
        yield Reached(_model(run.weights))


def _model(weights: Weights) -> SparseMLP:
    """Return the network of the weights."""
    hidden, output = (part.compact() for part in weights.parts)
    return SparseMLP((hidden, output.transposed()))


def _update(tile: Neurons, change: Tensor) -> Update:
    return Update(tile.ids, torch.cat([tile.hidden, tile.output], dim=1), change)


def _selection(method: IHTVector, weights: Weights, s: int, streams: Streams) -> BlockSelection:
    """Return the selection of ``s`` weights that the method asks for, with nothing accumulated."""
    size, order = sum(part.rows * part.cols for part in weights.parts), method.selection_order
    if method.selection == "count_sketch":
        width = sketch_width(size, s)
        hashes = streams.hashes(HASHES, width)
        return BlockSelection(s, order, hashes, np.zeros((HASHES, width), np.float32), weights)
    if method.selection == "accumulated":
        return BlockSelection(s, order, OwnBuckets(), np.zeros((1, size)), weights)
    return BlockSelection(s, order, NoBuckets(), np.zeros((0, 1)), weights)


class _Batch(NamedTuple):
    """Batch of one step: its products, its targets ``[k, b]``, and whether blocks are revived before."""

    products: VectorProducts
    y: Tensor
    revive: bool


class _Run:
    """State of one fit: weights, gates, step, and the selection with its accumulated updates."""

    def __init__(self, method: IHTVector, problem: Problem, m: int, s: int, streams: Streams) -> None:
        self._method, self._m = method, m
        self._batches = Batches(problem, method.batch, streams.batch_order())
        self.per_epoch = self._batches.per_epoch
        self._random = RandomGates(streams.gates(problem.d), m, problem.x)
        self._gates: GateRule = self._random
        self._revival = streams.revival(max(problem.d, problem.k))
        self._step, self._loss = paper_step(m, s, problem.loss), RESIDUALS[problem.loss]
        self.weights = Weights(*(SparseMatrix.zeros(m, cols, problem.x) for cols in (problem.d, problem.k)))
        self._selection = _selection(method, self.weights, s, streams)

    def losses(self) -> Iterator[float]:
        """Take all steps; yield the loss of each batch before its step.

        The random gates serve the first epoch and the first batch of the second one; then the gates follow the weights.
        """
        for epoch in range(self._method.passes):
            revive = epoch == 0 or (self._method.reinit == "every_epoch" and self._method.batch > 0)
            for features, y in self._batches.epoch():
                whole = revive or self._gates.few
                gates = self._gates if whole else SomeGates(self._gates, self.weights.used)
                yield self._advance(_Batch(self._products(features, gates), y, revive))
                revive = False
                if epoch > 0:
                    self._gates = WeightGates(self.weights.hidden)

    def _products(self, features: Tensor, gates: GateRule) -> VectorProducts:
        """Return the products of a batch, compiled if the device runs kernels."""
        if compiled(features.device):
            from mlpiht_cli.linalg.compiled_vector import compiled_products  # loads numba

            return compiled_products(features, gates, self.weights)
        return VectorProducts(features, TorchOperator(features, gates, self._m, tile=TILE))

    def _advance(self, batch: _Batch) -> float:
        """Take a step; return the loss of the network before it.

        Residual and gates are those of the network before blocks were revived, as in the reference code.
        """
        loss, residual = self._loss(batch.products.predict(self.weights), batch.y)
        slopes: Slopes = partial(self._slopes, batch, residual)
        count = self._m if batch.revive else len(self.weights.used)
        if count <= TILE:  # the only tile is kept, since some steps need it twice
            only = list(slopes())
            slopes = partial(iter, only)
        step = self._step
        if self._method.step == "safeguarded":
            step = self._descent(batch, slopes)
            self._step = step or self._step
        self.weights = self._selection.keep(lambda: (_update(tile, -step * slope) for tile, slope in slopes()))
        return float(loss)

    def _slopes(self, batch: _Batch, residual: Tensor) -> Iterator[tuple[Neurons, Tensor]]:
        """Yield the neurons of a step, a tile at a time, and their gradients: those with weights, or all to revive."""
        tiles: Iterable[Neurons] = self.weights.tiles()
        if batch.revive:
            tiles = (self._revived(self.weights.of(ids)) for ids in self._random.tiles(TILE))
        for tile in tiles:
            yield tile, batch.products.slopes(tile, residual)

    def _descent(self, batch: _Batch, slopes: Slopes) -> float:
        """Return the size of a gradient step that does not increase the loss of the batch at fixed gates."""
        ray = batch.y.new_zeros(3, *batch.y.shape)
        for tile, slope in slopes():
            for part, more in zip(ray, batch.products.along(tile, slope), strict=True):
                part += more
        here, first, second = ray

        def loss_at(step: float) -> float:
            return float(self._loss(here - step * first + step**2 * second, batch.y)[0])

        return searched_step(loss_at, self._step, loss_at(0.0))

    def _revived(self, tile: Neurons) -> Neurons:
        """Restart blocks whose largest entry is 0: uniform on +-1/sqrt(d m) (hidden) and +-1/sqrt(m k) (output).

        Both blocks of a neuron use the same numbers, which depend on the seed and the neuron alone. Largest is meant
        literally (protocol, section 1): sparse blocks without a positive entry restart too.
        """
        drawn = rows_at(self._revival, tile.ids, tile.hidden)

        def restarted(part: Tensor) -> Tensor:
            fresh = drawn[:, : part.shape[1]] / (self._m * part.shape[1]) ** 0.5
            return torch.where(part.amax(dim=1, keepdim=True) == 0, fresh, part)

        return Neurons(tile.ids, restarted(tile.hidden), restarted(tile.output), revived=True)
