"""Accelerated iterative hard thresholding (IHT) for ReLU networks with one output (P1, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from mlpiht_cli.batches import Batches
from mlpiht_cli.linalg.gates import GateRule, RandomGates, WeightGates
from mlpiht_cli.linalg.operators import GatedReLUOperator, SensingOperator
from mlpiht_cli.linalg.sparse import SparseMatrix, coordinates
from mlpiht_cli.linalg.stepsize import Refinement, exact_step, squared_norm
from mlpiht_cli.linalg.threshold import StreamedTopS
from mlpiht_cli.method import DTYPES, Callback, Fit, Shape, Status, finite
from mlpiht_cli.model import SparseMLP
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.layerwise import LayeredSolver


def iht_step(
    operator: SensingOperator, y: Tensor, weights: SparseMatrix, s: int, refine: Refinement
) -> tuple[SparseMatrix, float]:
    """One step of accelerated IHT on ``f(w) = |A w - y|^2``.

    Gradient step with the exact line search of the current support, global top-s, refinement on the kept
    support. Works for any sensing operator.

    Returns
    -------
    tuple
        The new weights, with at most ``s`` nonzeros, and ``f`` at the *old* ones.
    """
    support = operator.columns(weights.index)
    residual = support.matvec(weights.values) - y
    step = exact_step(support, support.rmatvec(residual))
    del support  # its columns would stay beside the new ones
    top = StreamedTopS(s)
    for tile in operator.rmatvec(residual):
        moved = weights.dense_rows(tile.rows) - step * tile.values
        top.push(coordinates(tile.rows, weights.cols), moved.flatten())
    index, values = top.result()
    kept = operator.columns(index)
    values = refine(kept, values, kept.matvec(values) - y, step)
    return SparseMatrix(index, values, weights.rows, weights.cols), squared_norm(residual)


class IHT(LayeredSolver):
    """Iterative hard thresholding: never more than ``s`` nonzero weights, from the first step to the last.

    The hidden weights are fused with the output weights, whose signs are fixed; see
    :class:`~mlpiht_cli.linalg.operators.GatedReLUOperator`.
    """

    version: ClassVar[int] = 1

    gates: Literal["sequential", "fixed"] = Field(
        "sequential", description="gates that follow the weights, or stay at their random start (convex)"
    )
    gate_period: int = Field(1, ge=1, description="steps between two gate updates (Tables 1 and 2)")
    inner_steps: int = Field(10, ge=0, description="refinement steps on the kept support")
    signs: Literal["positive", "alternating"] = Field(
        "positive", description="fixed output signs; alternating ones can fit negative or concave targets"
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
        """Run IHT with one hidden layer."""
        problem = problem.to(problem.x.device, DTYPES[self.dtype])
        signs = self._signs(m, problem.x)
        random = RandomGates(streams.gates(problem.d), m, problem.x)
        gates: GateRule = random
        weights = SparseMatrix.zeros(m, problem.d, problem.x)
        refine = Refinement(self.inner_steps)
        history: list[float] = []
        settled = 0
        for turn in self._turns(problem, streams):
            if turn.refresh:
                gates = WeightGates(weights)
            if not len(gates.neurons):
                break  # every neuron is dead: nothing can change any more
            operator = GatedReLUOperator(turn.features, gates, m, signs)
            before = weights
            weights, loss = iht_step(operator, turn.y, weights, budget, refine)
            history.append(loss / len(turn.y))
            if not torch.equal(before.index, weights.index):
                settled = len(history)
            callback(len(history), history[-1])
            if not finite(loss, float(weights.values.sum())):
                reason = f"the loss or the weights left the finite numbers at step {len(history)}"
                empty = SparseMLP((SparseMatrix.zeros(m, problem.d, problem.x),), signs)
                return Fit(empty, budget, len(history), Status.DIVERGED, history=tuple(history), reason=reason)
        model = SparseMLP((weights,), signs, self._frozen_gates(random, weights))
        return Fit(model, budget, len(history), Status.OK, settled, tuple(history))

    def _turns(self, problem: Problem, streams: Streams) -> Iterator[_Turn]:
        """Batches in the order of the protocol, and whether the gates are refreshed before each."""
        sequential = self.gates == "sequential"
        count = 0
        batches = Batches(problem, self.batch, streams.batch_order())
        full = problem.x.T.contiguous() if batches.full else None
        for epoch in range(self.passes):
            for x, y in batches.epoch():
                # Minibatch form: the random gates stay for the whole first epoch.
                refresh = sequential and epoch > 0 and count % self.gate_period == 0
                yield _Turn(x.T.contiguous() if full is None else full, y[:, 0], refresh)
                count += 1

    def _signs(self, m: int, like: Tensor) -> Tensor:
        signs = torch.ones(m, dtype=like.dtype, device=like.device)
        if self.signs == "alternating":
            signs[1::2] = -1.0
        return signs

    def _frozen_gates(self, random: RandomGates, weights: SparseMatrix) -> SparseMatrix | None:
        """Gate vectors of the live neurons when they stay fixed: the model is then a gated network."""
        if self.gates == "sequential":
            return None
        live = weights.live_rows()
        return SparseMatrix(
            coordinates(live, weights.cols), random.directions(live).flatten(), weights.rows, weights.cols
        )


@dataclass(frozen=True)
class _Turn:
    """One step's batch: features ``[d, b]``, targets ``[b]``, and whether gates are refreshed before it."""

    features: Tensor
    y: Tensor
    refresh: bool
