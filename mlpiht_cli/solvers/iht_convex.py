"""Iterative hard thresholding with gates that never move: the convex problem that P1's guarantee is about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.core.fit import Events, Fact, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Precision, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.recovery import merged_rows
from mlpiht_cli.linalg.gates import GateRule, GivenGates, RandomGates, rows_at
from mlpiht_cli.linalg.sparse import SparseMatrix, coordinates
from mlpiht_cli.linalg.stepsize import Refinement, squared_norm
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.convex import Convex
from mlpiht_cli.solvers.iht import iht_step, thresholded
from mlpiht_cli.theory.law import LAST, Stretches, law, tail_factor

if TYPE_CHECKING:
    from torch import Tensor

SETTLED = 1e-13
"""Share of the loss that a step has to change, or the run ends."""
ALIKE = 1e-9
"""Eigenvalue of unit columns below which they are linearly dependent."""


class IHTConvex(Method):
    """IHT on the columns of fixed gates, with a relaxed budget, then the s largest weights and least squares on them.

    It is the algorithm of P1's Theorem 1 (Jain, Tewari and Kar, 2014): ``w <- H_(c s)(w - eta A^T (A w - y))``. With
    ``gates: planted`` it is told the planted gates, so it shows what the gates cost and is no rival of other methods.
    The facts ``tail_factor``, ``law_factor`` and ``bound_factor`` of the theorem's step are the factor of the loss per
    step in the end, what :mod:`mlpiht_cli.theory.law` says of it, and the same law for the least eigenvalue of all
    columns, which no support exceeds. ``loss_ratio`` is the loss after the last step, before the prune, over that of no
    weights; ``law_ratio`` (for the planted support) and ``bound_ratio`` are such factors to the power of ``steps``.
    With planted gates, ``over_oracle`` is the error of the weights over that of least squares on the planted support,
    and ``undetermined`` is the number of planted weights, less the rank of their columns, that no data of these inputs
    tell even who knows the gates (parallel neurons counted as one): 0 where the weights are identifiable.
    """

    name: ClassVar[str] = "iht_convex"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared", depth=1)

    dtype: Precision = "float64"
    gates: Literal["planted", "random"] = Field(
        "random", description="gates: those of the planted network, which other methods have to find, or m random ones"
    )
    decoys: int = Field(0, ge=0, description="random gates that are added to the planted ones")
    normalise: bool = Field(True, description="scale columns to unit norm")
    step: Literal["theorem", "exact"] = Field(
        "exact", description="2 / (3 beta) with beta of all columns (theorem), or exact line search on the support"
    )
    relax: float = Field(2.0, ge=1, allow_inf_nan=False, description="budget of the steps, over s (s~ / s)")
    steps: int = Field(1500, ge=1, description="largest number of full-batch steps")
    inner_steps: int = Field(0, ge=0, description="refinement steps on the kept support, with exact line search")

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of all gates, ``(m + decoys) d``."""
        return (shape.m + self._decoys) * d

    @property
    def _decoys(self) -> int:
        return self.decoys if self.gates == "planted" else 0

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one output, squared loss and one hidden layer; planted gates also require a planted layer."""
        if self.gates == "planted" and problem.planted_layer is None:
            return "gates: planted needs a task that plants one hidden layer; use gates: random"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget; it ends early when a step no longer changes the weights or the loss."""
        convex, budget = self._convex(problem, shape, streams), budgets[0]
        wide = min(math.ceil(self.relax * budget), convex.rows * problem.d)
        eta = 2.0 / (3.0 * convex.spectrum[1]) if self.step == "theorem" else None
        weights, stretches = convex.zeros, Stretches()
        for _ in range(self.steps):
            before = weights
            weights, loss = self._step(convex, weights, wide, eta)
            moved = not torch.equal(before.index, weights.index)
            yield Step(loss / problem.n, float(weights.values.sum()), moved)
            stretches.add(before.index, loss)
            if weights.equals(before) or stretches.is_still(SETTLED):
                break
        fitted, _ = convex.solve(weights.index[top_s(weights.values, budget)])
        facts = _progress(convex, weights, stretches.first)
        if eta is not None:
            own = problem.planted_layer if self.gates == "planted" else None
            facts |= _pace(convex, stretches, eta) | _foretold(convex, own, eta, self.steps)
        if self.gates == "planted":
            facts |= _oracle(convex, problem, fitted)
        yield Reached(_model(convex, fitted), facts=facts)

    def _step(self, convex: Convex, weights: SparseMatrix, s: int, eta: float | None) -> tuple[SparseMatrix, float]:
        """Take a step; return the new weights, and the loss of the old ones."""
        if eta is None:
            moved, loss = iht_step(convex.operator, convex.y, weights, s, Refinement(self.inner_steps))
            return moved, float(loss)
        found = convex.operator.descend(weights, convex.y)
        step = torch.tensor(eta, dtype=torch.float64, device=convex.y.device)
        moved = thresholded(weights, step, found.tiles, s, convex.operator.static).to(convex.y.device, convex.y.dtype)
        return moved, float(squared_norm(found.residual))

    def _convex(self, problem: Problem, shape: Shape, streams: Streams) -> Convex:
        """Return the least-squares problem of the gates."""
        rule, rows, signs = self._gates(problem, shape, streams)
        return Convex(problem.columns, problem.y[:, 0], rule, rows, signs, self.normalise)

    def _gates(self, problem: Problem, shape: Shape, streams: Streams) -> tuple[GateRule, int, Tensor | None]:
        """Return the gate rule, the number of neurons, and their output signs."""
        planted = problem.planted_layer
        stream = streams.gates(problem.d)
        if self.gates == "random" or planted is None:
            return RandomGates(stream, shape.m, problem.x), shape.m, None
        live = planted.live_rows()
        more = torch.arange(self.decoys)
        vectors = [planted.dense_rows(live).to(problem.x), rows_at(stream, more, problem.x)]
        rule = GivenGates(torch.cat([live, planted.rows + more]).to(problem.x.device), torch.cat(vectors))
        signs = problem.truth_readout
        if signs is not None:
            signs = torch.cat([signs.to(problem.x), torch.ones(self.decoys).to(problem.x)])
        return rule, planted.rows + self.decoys, signs


def _model(convex: Convex, weights: SparseMatrix) -> SparseMLP:
    """Return the gated network of weights of the scaled columns."""
    unscaled = convex.operator.unscaled(weights).compact().to(convex.y.device, convex.y.dtype)
    live = unscaled.live_rows()
    vectors = convex.rule.directions(live).to(unscaled.values.dtype).flatten()
    gates = SparseMatrix(coordinates(live, unscaled.cols), vectors, unscaled.rows, unscaled.cols)
    signs = torch.ones(convex.rows).to(unscaled.values) if convex.signs is None else convex.signs
    return SparseMLP((unscaled,), signs, gates)


def _progress(convex: Convex, weights: SparseMatrix, first: float) -> dict[str, Fact]:
    """Return the loss of weights over the loss ``first`` of no weights."""
    residual = convex.operator.descend(weights, convex.y).residual
    return {"loss_ratio": float(squared_norm(residual)) / first} if first else {}


def _foretold(convex: Convex, planted: SparseMatrix | None, eta: float, steps: int) -> dict[str, Fact]:
    """Return what the bound and the law say of ``loss_ratio``: the law where the gates are those of planted weights."""
    facts: dict[str, Fact] = {"bound_ratio": law(eta, convex.spectrum[0]) ** steps}
    if planted is None:
        return facts
    index = planted.index[convex.operator.scale[planted.index] > 0]
    least = float(np.linalg.eigvalsh(convex.normal_equations(index)[0])[0])
    return facts | {"law_ratio": law(eta, least) ** steps}


def _pace(convex: Convex, stretches: Stretches, eta: float) -> dict[str, Fact]:
    """Return the step, the bound's factor of the loss per step, and the measured one and the law's where it shows.

    They are measured at the end of the stretch of steps with one support that shows longest.
    """
    facts: dict[str, Fact] = {"step_size": eta, "bound_factor": law(eta, convex.spectrum[0])}
    found = [(one.excess(convex.solve(one.index)[1], stretches.first), one.index) for one in stretches.longest]
    excess, index = max(found, key=lambda one: len(one[0]))
    if len(excess) <= LAST or not len(index):
        return facts
    least = float(np.linalg.eigvalsh(convex.normal_equations(index)[0])[0])
    return {**facts, "law_factor": law(eta, least), "tail_factor": tail_factor(excess)}


def _oracle(convex: Convex, problem: Problem, fitted: SparseMatrix) -> dict[str, Fact]:
    """Return the error of weights over that of least squares on the planted support, both relative to the planted ones.

    All are weights of the scaled columns; planted weights of columns that are zero are left out.
    """
    planted = problem.planted_layer
    if planted is None:
        return {}
    scale = convex.operator.scale
    index = planted.index[scale[planted.index] > 0]
    true = torch.zeros_like(scale)
    true[planted.index] = planted.values.to(scale)
    true = torch.where(scale > 0, true / torch.where(scale > 0, scale, 1.0), 0.0)
    values = np.linalg.eigvalsh(convex.normal_equations(index)[0])
    lost = int((values < ALIKE).sum()) + planted.nnz - len(index)
    twice = planted.nnz - int(np.count_nonzero(merged_rows(planted, problem.truth_readout)))
    errors = []
    for one in (fitted, convex.solve(index)[0]):
        found = torch.zeros_like(scale)
        found[one.index] = one.values
        errors.append(float((found - true).norm() / true.norm()))
    facts: dict[str, Fact] = {
        "weights_error": errors[0],
        "oracle_error": errors[1],
        "over_oracle": errors[0] / errors[1],
    }
    return {**facts, "undetermined": max(0, lost - twice)}
