"""Accelerated iterative hard thresholding (IHT) for ReLU networks with one output (P1, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.method import Callback, Fit, Shape, Status, finite, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import compiled, gated_operator
from mlpiht_cli.linalg.gates import GateRule, RandomGates, WeightGates
from mlpiht_cli.linalg.operators import GatedOperator, SensingOperator
from mlpiht_cli.linalg.sparse import SparseMatrix, coordinates
from mlpiht_cli.linalg.stepsize import Refinement, exact_step, squared_norm
from mlpiht_cli.linalg.threshold import StreamedTopS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.layerwise import LayeredSolver

if TYPE_CHECKING:
    from torch import Tensor


def iht_step(
    operator: SensingOperator, y: Tensor, weights: SparseMatrix, s: int, refine: Refinement
) -> tuple[SparseMatrix, Tensor]:
    """One step of accelerated IHT on ``f(w) = |A w - y|^2``.

    Gradient step with the exact line search of the current support, global top-s, refinement on the kept
    support. Works for any sensing operator.

    Returns
    -------
    tuple
        The new weights, with at most ``s`` nonzeros, and ``f`` at the *old* ones (``[]``).
    """
    support = operator.columns(weights.index)
    residual = support.matvec(weights.values) - y
    step = exact_step(support, weights.values, support.rmatvec(residual))
    del support  # its columns would stay beside the new ones
    top = StreamedTopS(s, weights.rows * weights.cols if operator.static else None)
    for tile in operator.rmatvec(residual):
        moved = weights.dense_rows(tile.rows) - step * tile.values
        top.push(coordinates(tile.rows, weights.cols), moved.flatten())
    index, found = top.result()
    kept, values = operator.columns(index), found.to(y.dtype)
    values = refine(kept, values, kept.matvec(values) - y, step)
    return SparseMatrix(index, values, weights.rows, weights.cols), squared_norm(residual)


class IHT(LayeredSolver):
    """Iterative hard thresholding: never more than ``s`` nonzero weights, from the first step to the last.

    The hidden weights are fused with the output weights, whose signs are fixed; see
    :mod:`mlpiht_cli.linalg.operators`.
    """

    version: ClassVar[int] = 2

    gates: Literal["sequential", "fixed"] = Field(
        "sequential", description="gates that follow the weights, or stay at their random start (convex)"
    )
    gate_period: int = Field(1, ge=1, description="steps between two gate updates (Tables 1 and 2)")
    inner_steps: int = Field(10, ge=0, description="refinement steps on the kept support")
    signs: Literal["positive", "both"] = Field(
        "positive", description="fixed output signs: all +1, or +1 and -1 in turn, which can fit any target"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Fused weights, ``m * d`` and ``m * m`` a further layer: the output signs are fixed and not counted."""
        return shape.m * (d + (shape.depth - 1) * shape.m)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Scalar output, squared loss; gates that stay fixed with one hidden layer only."""
        if problem.k != 1:
            return f"iht needs one output, the problem has {problem.k}; use iht_vector"
        if problem.loss != "squared":
            return f"iht needs the squared loss, the problem has {problem.loss}; use iht_vector"
        if shape.depth != 1 and self.gates == "fixed":
            return f"gates: fixed needs one hidden layer, asked for {shape.depth}"
        return None

    def fit_layer(self, problem: Problem, m: int, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Run IHT with one hidden layer.

        Stops early when nothing can change any more: every neuron is dead, or a step on all samples gave back the
        weights that its gates come from.
        """
        problem = problem.to(problem.x.device, torch_dtype(self.dtype))
        random = RandomGates(streams.gates(problem.d), m, problem.x)
        state = _State(self, random, SparseMatrix.zeros(m, problem.d, problem.x), budget)
        history: list[float] = []
        settled = 0
        for turn in self._turns(problem, streams):
            if state.is_over(turn):
                break
            before = state.weights
            loss = state.advance(turn)
            history.append(loss / len(turn.y))
            if not torch.equal(before.index, state.weights.index):
                settled = len(history)
            callback(len(history), history[-1])
            if not finite(loss, float(state.weights.values.sum())):
                reason = f"the loss or the weights left the finite numbers at step {len(history)}"
                empty = self._model(SparseMatrix.zeros(m, problem.d, problem.x), random)
                return Fit(empty, budget, len(history), Status.DIVERGED, history=tuple(history), reason=reason)
        model = self._model(state.weights.compact(), random)
        return Fit(model, budget, len(history), Status.OK, settled, tuple(history))

    def _turns(self, problem: Problem, streams: Streams) -> Iterator[_Turn]:
        """Batches in the order of the protocol, and whether the gates are refreshed before each."""
        sequential = self.gates == "sequential"
        count = 0
        batches = Batches(problem, self.batch, streams.batch_order())
        for epoch in range(self.passes):
            for features, y in batches.epoch():
                # Minibatch form: the random gates stay for the whole first epoch.
                refresh = sequential and epoch > 0 and count % self.gate_period == 0
                yield _Turn(features, y[:, 0], refresh, batches.full)
                count += 1

    def output_signs(self, m: int, like: Tensor) -> Tensor:
        """Fixed output signs ``[m]``; equal ones take the memory of one."""
        ones = torch.ones(1, dtype=like.dtype, device=like.device).expand(m)
        if self.signs == "positive":
            return ones
        signs = ones.clone()
        signs[1::2] = -1.0
        return signs

    def _model(self, weights: SparseMatrix, random: RandomGates) -> SparseMLP:
        """Network of the weights; a gated one when the gates stay fixed."""
        gates = None
        if self.gates == "fixed":
            live = weights.live_rows()
            index = coordinates(live, weights.cols)
            gates = SparseMatrix(index, random.directions(live).flatten(), weights.rows, weights.cols)
        return SparseMLP((weights,), self.output_signs(weights.rows, weights.values), gates)


@dataclass(frozen=True)
class _Turn:
    """One step's batch: features ``[d, b]``, targets ``[b]``; whether gates are refreshed before it; is it all data."""

    features: Tensor
    y: Tensor
    refresh: bool
    full: bool


class _State:
    """What a fit carries from step to step: weights, gates, and the operator as long as it stays the same."""

    def __init__(self, method: IHT, random: RandomGates, weights: SparseMatrix, s: int) -> None:
        self._s, self._refine = s, Refinement(method.inner_steps)
        self._follows = method.gates == "sequential"
        self._signs = None if method.signs == "positive" else method.output_signs(weights.rows, weights.values)
        self._gates: GateRule = random
        self._source: SparseMatrix | None = None  # the weights that the gates follow
        self._operator: GatedOperator | None = None
        self._before: SparseMatrix | None = None
        self.weights = weights

    def is_over(self, turn: _Turn) -> bool:
        """Whether no step can change anything any more."""
        source = self.weights if turn.refresh else self._source
        if source is not None and not source.nnz:
            return True  # all neurons are dead
        if not turn.full or self._before is None or not self.weights.equals(self._before):
            return False
        # The gates of the step that changed nothing, not those that a refresh would bring.
        return not self._follows or (self._source is not None and self.weights.equals(self._source))

    def advance(self, turn: _Turn) -> float:
        """Take a step and return the loss before it."""
        if turn.refresh:
            self._source = self.weights
            self._gates = WeightGates(self.weights, static=not compiled(turn.features.device))
        if turn.refresh or not turn.full or self._operator is None:
            self._operator = gated_operator(turn.features, self._gates, self.weights.rows, self._signs)
        self._before = self.weights
        self.weights, loss = iht_step(self._operator, turn.y, self.weights, self._s, self._refine)
        return float(loss)
