"""Accelerated iterative hard thresholding (IHT) for scalar-output, two-layer ReLU networks (P1, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mlpiht_cli.batches import Batches
from mlpiht_cli.linalg.gates import GateRule, RandomGates, WeightGates
from mlpiht_cli.linalg.operators import GatedReLUOperator, SensingOperator
from mlpiht_cli.linalg.sparse import SparseMatrix, coordinates
from mlpiht_cli.linalg.stepsize import Refinement, exact_step, squared_norm
from mlpiht_cli.linalg.threshold import StreamedTopS
from mlpiht_cli.method import DTYPES, Callback, Fit, MethodByBudget, Shape, Status, finite
from mlpiht_cli.model import SparseMLP
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams


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


def _counts(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Name of the field that counts passes over the data, and of the one that does not."""
    return ("epochs", "steps") if settings.get("batch") else ("steps", "epochs")


class IHT(MethodByBudget):
    """Iterative hard thresholding: never more than ``s`` nonzero weights, from the first step to the last.

    The hidden weights are fused with the output weights, whose signs are fixed; see
    :class:`~mlpiht_cli.linalg.operators.GatedReLUOperator`.
    """

    version: ClassVar[int] = 1

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    steps: int | None = Field(None, ge=1, description="full-batch steps (default 15)")
    epochs: int | None = Field(None, ge=1, description="passes over the minibatches (default 15)")
    gates: Literal["sequential", "fixed"] = Field(
        "sequential", description="gates that follow the weights, or stay at their random start (convex)"
    )
    gate_period: int = Field(1, ge=1, description="steps between two gate updates (Tables 1 and 2)")
    inner_steps: int = Field(10, ge=0, description="refinement steps on the kept support")
    signs: Literal["positive", "alternating"] = Field(
        "positive", description="fixed output signs; alternating ones can fit negative or concave targets"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_count(cls, data: object) -> object:
        """Name the number of passes once: ``steps`` in full batch, ``epochs`` in minibatch form."""
        if not isinstance(data, dict):
            return data
        wanted, other = _counts(data)
        given = {name: data.get(name) for name in (wanted, other)}
        if given["steps"] is not None and wanted == "epochs":
            raise ValueError("minibatch IHT counts epochs: set epochs, not steps")
        if None not in given.values() and given["steps"] != given["epochs"]:
            raise ValueError("in full batch an epoch is a step: set steps alone")
        count = given[wanted] if given[wanted] is not None else given[other]
        rest = {name: value for name, value in data.items() if name != other}
        return {**rest, wanted: 15 if count is None else count}

    @classmethod
    def merge(cls, settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Put overrides over settings; an override of ``epochs`` is one of ``steps`` in full batch."""
        merged = {**settings, **overrides}
        wanted, other = _counts(merged)
        if wanted in overrides:
            merged.pop(other, None)
        elif wanted == "steps" and other in overrides:
            merged[wanted] = merged.pop(other)
        return merged

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Fused weights, ``m * d``: the output signs are fixed and not counted."""
        return shape.m * d

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Scalar output, squared loss, one hidden layer."""
        if problem.k != 1:
            return f"iht needs one output, the problem has {problem.k}"
        if problem.loss != "squared":
            return f"iht needs the squared loss, the problem has {problem.loss}"
        if shape.depth != 1:
            return f"iht needs one hidden layer, asked for {shape.depth}"
        return None

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Run IHT for one budget; see :meth:`MethodByBudget.fit_path`."""
        problem = problem.to(problem.x.device, DTYPES[self.dtype])
        signs = self._signs(shape.m, problem.x)
        random = RandomGates(streams.gates(problem.d), shape.m, problem.x)
        gates: GateRule = random
        weights = SparseMatrix.zeros(shape.m, problem.d, problem.x)
        refine = Refinement(self.inner_steps)
        history: list[float] = []
        for turn in self._turns(problem, streams):
            if turn.refresh:
                gates = WeightGates(weights)
            if not len(gates.neurons):
                break  # every neuron is dead: nothing can change any more
            operator = GatedReLUOperator(turn.features, gates, shape.m, signs)
            weights, loss = iht_step(operator, turn.y, weights, budget, refine)
            history.append(loss / len(turn.y))
            callback(len(history), history[-1])
            if not finite(loss, float(weights.values.sum())):
                reason = f"the loss or the weights left the finite numbers at step {len(history)}"
                empty = SparseMatrix.zeros(shape.m, problem.d, problem.x)
                return Fit(SparseMLP((empty,), signs), budget, len(history), Status.DIVERGED, tuple(history), reason)
        model = SparseMLP((weights,), signs, self._frozen_gates(random, weights))
        return Fit(model, budget, len(history), Status.OK, tuple(history))

    def _turns(self, problem: Problem, streams: Streams) -> Iterator[_Turn]:
        """Batches in the order of the protocol, and whether the gates are refreshed before each."""
        sequential = self.gates == "sequential"
        count = 0
        batches = Batches(problem, self.batch, streams.batch_order())
        full = problem.x.T.contiguous() if batches.full else None
        for epoch in range(self.steps or self.epochs or 0):
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
