"""Accelerated iterative hard thresholding (IHT) for ReLU networks with one output (P1, section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.fit import Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import compiled, gated_operator
from mlpiht_cli.linalg.gates import GateRule, RandomGates, WeightGates
from mlpiht_cli.linalg.operators import GatedOperator, SensingOperator, Tile
from mlpiht_cli.linalg.sparse import SparseMatrix, coordinates
from mlpiht_cli.linalg.stepsize import Refinement, exact_step, squared_norm
from mlpiht_cli.linalg.threshold import StreamedTopS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_settings import RELAXATION, IHTSettings
from mlpiht_cli.solvers.layerwise import Layerwise
from mlpiht_cli.solvers.passes import Passes

if TYPE_CHECKING:
    from torch import Tensor


def iht_step(
    operator: SensingOperator, y: Tensor, weights: SparseMatrix, s: int, refine: Refinement
) -> tuple[SparseMatrix, Tensor]:
    """Take one step of accelerated IHT on ``f(w) = |A w - y|^2``.

    The step is a gradient step with exact line search on the current support, then global top-s, then refinement on
    the kept support. It works for any sensing operator.

    Returns
    -------
    tuple
        The new weights, with at most ``s`` nonzeros, and ``f`` at the *old* weights (``[]``).
    """
    support, residual, gradient, tiles = operator.descend(weights, y)
    step = exact_step(support, weights.values, gradient)
    del support  # frees its columns before the new ones are made
    moved = thresholded(weights, step, tiles, s, operator.static)
    kept, values = operator.columns(moved.index), moved.values.to(y.dtype)
    values = refine(kept, values, y, step)
    return SparseMatrix(moved.index, values, weights.rows, weights.cols), squared_norm(residual)


def thresholded(weights: SparseMatrix, step: Tensor, tiles: Iterable[Tile], s: int, static: bool) -> SparseMatrix:
    """Return ``H_s(w - step g)``: a step along the gradient ``g`` that comes in tiles, and hard thresholding.

    With ``static``, the result has as many coordinates as the budget, which does not depend on the values.
    """
    top = StreamedTopS(s, weights.rows * weights.cols if static else None)
    for tile in tiles:
        moved = weights.dense_rows(tile.rows) - step * tile.values
        top.push(coordinates(tile.rows, weights.cols), moved.flatten())
    index, found = top.result()
    return SparseMatrix(index, found, weights.rows, weights.cols)


class IHT(Passes, IHTSettings, Method):
    """Iterative hard thresholding: at most ``s`` weights are nonzero after every step, with ``relax`` after the last.

    The hidden weights are fused with the output weights, whose signs are fixed: neuron j adds ``sign_j relu(w_j . x)``.
    """

    name: ClassVar[str] = "iht"
    version: ClassVar[int] = 3
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared", instead="iht_vector")
    later: ClassVar[frozenset[str]] = Method.later | RELAXATION

    gates: Literal["sequential", "fixed"] = Field(
        "sequential", description="whether gates follow the weights or stay at their random start (convex)"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of fused weights: ``m * d``, and ``m * m`` for each further layer.

        The output signs are fixed and do not count.
        """
        return shape.m * (d + (shape.depth - 1) * shape.m)

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one output and squared loss; fixed gates also require one hidden layer."""
        if shape.depth != 1 and self.gates == "fixed":
            return f"gates: fixed needs one hidden layer, asked for {shape.depth}"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget, layer by layer."""
        return Layerwise(self).iterate(problem, shape, budgets[0], streams)

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        """Run IHT with one hidden layer."""
        network = None
        for step, _ in self.walk(problem, m, budget, streams):
            yield step
            network = step.network
        assert network is not None, "there is a step, and it offers its network"
        yield Reached(network())

    def walk(self, problem: Problem, m: int, budget: int, streams: Streams) -> Iterator[tuple[Step, GateRule]]:
        """Run IHT with one hidden layer, and yield each step with the gates that it had.

        The run ends early when no step can change the weights: every neuron is dead, or a step on all samples with the
        budget of the network returned the weights that its gates come from.
        """
        random = RandomGates(streams.gates(problem.d), m, problem.x)
        state = _State(self, random, SparseMatrix.zeros(m, problem.d, problem.x), budget)
        for turn in self._turns(problem, m, budget, streams):
            if state.is_over(turn):
                return
            before = state.weights
            loss = state.advance(turn) / len(turn.y)
            moved = not torch.equal(before.index, state.weights.index)
            network, share = partial(self._model, state.weights, random), len(turn.y) / problem.n
            yield Step(loss, float(state.weights.values.sum()), moved, network=network, share=share), state.gates

    def _turns(self, problem: Problem, m: int, s: int, streams: Streams) -> Iterator[_Turn]:
        """Yield the batches in the order of the protocol, with the budget, and whether gates are refreshed before each.

        Gates are set after every ``gate_period``-th step, but never in the first epoch. So the random gates serve the
        first epoch and the first batch of the second one; in full batch, steps 0 and 1.
        """
        refresh, count = False, 0
        batches = Batches(problem, self.batch, streams.batch_order())
        steps, weights = self.passes * batches.per_epoch, m * problem.d
        for epoch in range(self.passes):
            for features, y in batches.epoch():
                yield _Turn(features, y[0], refresh, batches.full, self.budget(count, steps, s, weights))
                refresh = self.gates == "sequential" and epoch > 0 and count % self.gate_period == 0
                count += 1

    def output_signs(self, m: int, like: Tensor) -> Tensor:
        """Return the fixed output signs ``[m]``; equal signs share the memory of one number."""
        ones = torch.ones(1, dtype=like.dtype, device=like.device).expand(m)
        if self.signs == "positive":
            return ones
        signs = ones.clone()
        signs[1::2] = -1.0
        return signs

    def _model(self, weights: SparseMatrix, random: RandomGates) -> SparseMLP:
        """Return the network of the weights; it is gated if the gates stay fixed."""
        weights, gates = weights.compact(), None
        if self.gates == "fixed":
            live = weights.live_rows()
            index = coordinates(live, weights.cols)
            gates = SparseMatrix(index, random.directions(live).flatten(), weights.rows, weights.cols)
        return SparseMLP((weights,), self.output_signs(weights.rows, weights.values), gates)


@dataclass(frozen=True)
class _Turn:
    """Batch of one step: features ``[d, b]``, targets ``[b]``, whether gates are refreshed before, whether all data.

    ``budget`` is the number of weights that the step may keep; it never rises from step to step.
    """

    features: Tensor
    y: Tensor
    refresh: bool
    full: bool
    budget: int


class _State:
    """State of a fit between steps: weights, gates, and the operator until it has to change."""

    def __init__(self, method: IHT, random: RandomGates, weights: SparseMatrix, s: int) -> None:
        self._s, self._refine = s, Refinement(method.inner_steps)
        self._follows = method.gates == "sequential"
        self._signs = None if method.signs == "positive" else method.output_signs(weights.rows, weights.values)
        self.gates: GateRule = random
        self._source: SparseMatrix | None = None  # the weights that the gates follow
        self._operator: GatedOperator | None = None
        self._before: SparseMatrix | None = None
        self._kept = 0  # the budget of the last step
        self.weights = weights

    def is_over(self, turn: _Turn) -> bool:
        """Whether no further step can change the weights."""
        source = self.weights if turn.refresh else self._source
        if source is not None and not source.nnz:
            return True  # all neurons are dead
        if not turn.full or self._before is None or not self.weights.equals(self._before):
            return False
        if self._kept > self._s:
            return False  # a smaller budget, now or later, changes them
        # Compare the gates of the step that changed nothing, not the gates after a refresh.
        return not self._follows or (self._source is not None and self.weights.equals(self._source))

    def advance(self, turn: _Turn) -> float:
        """Take a step and return the loss before it."""
        if turn.refresh:
            self._source = self.weights
            self.gates = WeightGates(self.weights, static=not compiled(turn.features.device))
        if turn.refresh or not turn.full or self._operator is None:
            self._operator = gated_operator(turn.features, self.gates, self.weights.rows, self._signs)
        self._before, self._kept = self.weights, turn.budget
        self.weights, loss = iht_step(self._operator, turn.y, self.weights, turn.budget, self._refine)
        return float(loss)
