"""IHT with reallocation: exact recovery of sparse two-layer ReLU networks where IHT alone stalls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.core.method import Callback, Fit, Move, Shape, Status, finite, ignore, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.linalg.gated import threads_for
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.layerwise import LayeredSolver
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.search import Limits, Search


class IHTRealloc(LayeredSolver):
    """IHT, and then a search that moves weights between neurons; never worse than its own start.

    IHT gets stuck where one neuron serves two planted ones, or two serve one. The search starts from the data instead:
    it reads neurons off the Hermite moments of the residual, fits all weights by Gauss-Newton steps beside a free
    linear part, removes what is not significant, and repeats with the residual that is left. Ours; see
    ``docs/recovery.md`` for what was tried.
    """

    version: ClassVar[int] = 1
    later: ClassVar[frozenset[str]] = frozenset({"signs"})

    rounds: int = Field(30, ge=0, description="rounds of the search at most; it stops once exact")
    patience: int = Field(5, ge=1, description="rounds without progress after which the search stops")

    signs: Literal["positive", "both"] = Field(
        "positive", description="output signs: all +1, or each neuron +1 or -1 as it fits, which can fit any target"
    )

    @property
    def in_kernels(self) -> bool:
        """Most of the work is in products of torch."""
        return False

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Those of IHT."""
        return self._start().weights(d, k, shape)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """What IHT supports."""
        reason = self._start().supports(problem, shape)
        return None if reason is None else reason.replace("iht needs", "iht_realloc needs")

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Fit one budget. Deeper networks: the better of the search layer by layer and of IHT, by training loss.

        A first layer that fits the targets better on its own need not give the second layer better features.
        """
        found = super().fit(problem, shape, budget, streams, callback)
        if shape.depth == 1:
            return found
        plain = self._start().fit(problem, shape, budget, streams, ignore)
        return found if _training_loss(found, problem) <= _training_loss(plain, problem) else plain

    def fit_layer(self, problem: Problem, m: int, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Run IHT with one hidden layer, and the search after it."""
        with threads_for(problem.x.device):
            start = self._start().fit_layer(problem, m, budget, streams, callback)
        if start.status is Status.DIVERGED:
            return start
        problem = problem.to(problem.x.device, torch_dtype(self.dtype))
        scale = _scale(problem.x)
        samples = Samples((problem.x / scale).T.contiguous(), problem.y[:, 0])
        blocks = _blocks(start.model, scale, self.signs == "both")
        search = Search(samples, Limits(m, budget), streams.moves(), (blocks, samples.loss(blocks)))
        history = self._searched(search, start.history, callback)
        moves = tuple(Move(len(start.history) + turn, name, count) for turn, name, count in search.moves)
        done = replace(start, history=history, iterations=len(history), facts=_totals(moves), moves=moves)
        if not done.facts["accepted"]:
            return done
        model = _model(search.best[0], scale, start.model).to(problem.x.device, problem.x.dtype)
        return replace(done, model=model, settled=None)

    def _searched(self, search: Search, history: Sequence[float], callback: Callback) -> tuple[float, ...]:
        """Run the search; return the history with the best loss after each round."""
        losses = list(history)
        if self.rounds:
            search.polish()
        for _ in range(self.rounds if search.is_possible else 0):
            if search.is_exact or search.stalled > self.patience or not finite(search.best[1]):
                break
            search.round()
            losses.append(search.best[1])
            callback(len(losses), losses[-1])
        search.tidy()
        return tuple(losses)

    def _start(self) -> IHT:
        """The IHT that the search follows."""
        return IHT(dtype=self.dtype, batch=self.batch, steps=self.steps, epochs=self.epochs, signs=self.signs)


def _training_loss(fit: Fit, problem: Problem) -> float:
    """Loss on the training data; infinite where the fit diverged."""
    if fit.status is Status.DIVERGED:
        return math.inf
    prediction = fit.model.forward(problem.x.to(fit.model.layers[0].values.dtype))
    return float(LOSSES[problem.loss](prediction.double(), problem.y.double()))


def _totals(moves: Sequence[Move]) -> dict[str, int]:
    """How many neurons were proposed and merged, and how many networks accepted."""
    totals = {name: sum(move.count for move in moves if move.name == name) for name in ("proposed", "merged")}
    return totals | {"accepted": sum(move.name == "accepted" for move in moves)}


def _scale(x: torch.Tensor) -> torch.Tensor:
    """Root mean square of each input, rounded to a power of two so that the division is exact; 1 for a dead input."""
    mean = x.double().square().mean(0).sqrt()
    return torch.where(mean > 0, torch.exp2(mean.clamp(min=1e-30).log2().round()), 1.0).to(x.dtype)


def _blocks(model: SparseMLP, scale: torch.Tensor, free: bool) -> Blocks:
    """Live neurons of a network, for inputs divided by ``scale``; with their output signs where those are free."""
    layer, readout = model.layers[0], model.readout
    live = layer.live_rows()
    weights = layer.dense_rows(live).double() * scale
    return Blocks(weights, weights != 0, outputs=readout[live].double() if free and readout is not None else None)


def _model(blocks: Blocks, scale: torch.Tensor, like: SparseMLP) -> SparseMLP:
    """The network of the blocks, as wide as another."""
    weights, readout, m = blocks.weights / scale, like.readout, like.layers[0].rows
    found = SparseMatrix.from_dense(weights)
    if blocks.outputs is not None:
        readout = torch.cat([blocks.outputs, blocks.outputs.new_ones(m - len(weights))]).to(like.layers[0].values.dtype)
    return SparseMLP((SparseMatrix(found.index, found.values, m, weights.shape[1]),), readout)
