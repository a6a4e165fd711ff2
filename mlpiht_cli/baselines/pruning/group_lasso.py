"""The convex form of gated networks: a group lasso with one group for each random gate, pruned and refitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.baselines.yardsticks.rows import missing, package
from mlpiht_cli.core.fit import Diverged, Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Precision, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gates import RandomGates
from mlpiht_cli.linalg.sparse import SparseMatrix, coordinates
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[np.float64]

EPOCHS = 10
"""Most sweeps over a working set of gates before all gates are looked at again."""
ROUNDS = 500
"""Most times that all gates are looked at for one penalty."""


class Convex(NamedTuple):
    """Inputs of the open samples gate by gate, float64 ``[n, gates d]`` in Fortran order, and targets ``[n]``."""

    columns: Array
    targets: Array
    d: int

    @property
    def gates(self) -> int:
        """Number of groups."""
        return int(self.columns.shape[1]) // self.d

    def norms(self, weights: Array) -> Array:
        """Return the norm of each gate's numbers, ``[gates]``."""
        return np.asarray(np.linalg.norm(weights.reshape(self.gates, self.d), axis=1))

    def loss(self, weights: Array) -> float:
        """Return the mean squared error of weights ``[gates d]``."""
        return float(np.square(self.columns @ weights - self.targets).mean())


class Solution(NamedTuple):
    """Weights ``[gates d]`` of a penalty, and the number of times that all gates were looked at."""

    penalty: float
    weights: Array
    rounds: int


def columns(x: Tensor, gates: Tensor) -> Array:
    """Return ``[D_1 X, D_2 X, ...]`` for inputs ``[n, d]`` and gates ``[g, d]``, ``D_i = diag(1[X h_i > 0])``."""
    n, d = x.shape
    out = np.empty((n, len(gates) * d), order="F")
    values, opened = x.double().cpu().numpy(), (x @ gates.T > 0).cpu().numpy()
    for i in range(len(gates)):
        np.multiply(values, opened[:, i, None], out=out[:, i * d : (i + 1) * d])
    return out


def path(convex: Convex, penalties: Sequence[float], tolerance: float) -> Iterator[Solution]:
    """Yield the minimisers of ``|A v - y|^2 / 2n + penalty sum_i |v_i|``, each from the one before.

    A solution's gradient may be off by the tolerance times the penalty, in the norm of a gate.
    """
    skglm, data = package("skglm"), package("skglm.utils.data")
    indices, ends = data.grp_converter(convex.d, convex.columns.shape[1])
    fit = skglm.datafits.QuadraticGroup(ends, indices)
    weights, outputs = np.zeros(convex.columns.shape[1]), np.zeros(len(convex.targets))
    for penalty in penalties:
        price = skglm.penalties.WeightedGroupL2(penalty, np.ones(convex.gates), ends, indices)
        solver = skglm.solvers.GroupBCD(max_iter=ROUNDS, max_epochs=EPOCHS, tol=tolerance * penalty, warm_start=True)
        weights, values, _ = solver.solve(convex.columns, convex.targets, fit, price, weights, outputs)
        yield Solution(penalty, weights.copy(), int(np.count_nonzero(values)))


def debiased(convex: Convex, weights: Array, budget: int) -> Array:
    """Return least squares on the ``budget`` largest nonzero weights, and 0 for the others."""
    from scipy import linalg

    kept = top_s(torch.from_numpy(weights), budget).numpy()  # nonzeros alone
    out = np.zeros_like(weights)
    if len(kept):
        out[kept] = linalg.lstsq(convex.columns[:, kept], convex.targets, lapack_driver="gelsy")[0]
    return out


class GroupLasso(Method):
    """The convex gated reformulation of a network of one hidden layer, by a group lasso.

    Pilanci and Ergen, Neural networks are convex regularizers, ICML 2020; with gates that are drawn instead of all
    patterns, Mishkin, Sahiner and Pilanci, Fast convex optimization for two-layer ReLU networks, ICML 2022. The weights
    of random gates ``h_i`` minimise ``|sum_i D_i X v_i - y|^2 / 2n + penalty sum_i |v_i|_2``, solved by skglm for
    penalties that fall. For each of them all but the s largest weights are pruned, and least squares refits the rest;
    the network of least training loss is the answer. Its gates stay fixed, as those of ``iht_convex``. Every step is a
    penalty, whose share counts all sweeps of the solver as full passes, at most. The fact ``pruned`` is the number of
    weights that the prune took, ``penalty`` the one chosen, ``live_gates`` the number of gates with weights before.
    """

    name: ClassVar[str] = "group_lasso"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared", depth=1)

    dtype: Precision = "float64"
    gates: int = Field(1000, ge=1, description="most random gates; there are m of them if that is less")
    penalties: int = Field(6, ge=1, description="number of penalties tried, spaced geometrically")
    least: float = Field(
        0.01, gt=0, lt=1, description="least penalty tried, as a share of the least that leaves no weight"
    )
    tolerance: float = Field(
        0.01, gt=0, allow_inf_nan=False, description="largest error of a gate's gradient that ends a penalty, over it"
    )
    memory: float = Field(
        2.0, gt=0, allow_inf_nan=False, description="most GiB for the columns: n d numbers of 8 bytes for each gate"
    )

    def _gates(self, shape: Shape) -> int:
        return min(shape.m, self.gates)

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of all gates."""
        return self._gates(shape) * d

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require the package, room for the columns, one output, squared loss and one hidden layer."""
        size = 8 * problem.n * problem.d * self._gates(shape) / 2**30
        fault = missing("skglm")
        if fault is None and size > self.memory:
            fault = (
                f"group_lasso takes n d numbers for each of {self._gates(shape)} gates, {size:.3g} GiB, but its "
                f"setting memory allows {self.memory:g}; lower gates, or raise memory"
            )
        return fault or super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Solve all penalties, and refit each for one budget."""
        if not (bool(problem.x.isfinite().all()) and bool(problem.y.isfinite().all())):
            raise Diverged("the data are not finite")
        count = self._gates(shape)
        drawn = RandomGates(streams.gates(problem.d), count, problem.x).directions(torch.arange(count))
        convex = Convex(columns(problem.x, drawn), problem.y[:, 0].double().cpu().numpy(), problem.d)
        largest = float(convex.norms(convex.columns.T @ convex.targets).max()) / problem.n
        tried = largest * np.geomspace(1.0, self.least, self.penalties + 1)[1:]
        found: list[tuple[float, Array, Solution]] = []
        for one in path(convex, [float(penalty) for penalty in tried], self.tolerance):
            fitted = debiased(convex, one.weights, budgets[0])
            found.append((convex.loss(fitted), fitted, one))
            yield Step(convex.loss(one.weights), float(fitted.sum()), share=float(1 + one.rounds * (EPOCHS + 2)))
        _, fitted, chosen = min(found, key=lambda each: each[0])
        facts = {
            "pruned": max(0, int(np.count_nonzero(chosen.weights)) - budgets[0]),
            "penalty": chosen.penalty,
            "live_gates": int(np.count_nonzero(convex.norms(chosen.weights))),
        }
        yield Reached(_model(fitted, drawn, shape.m), facts=facts)


def _model(weights: Array, gates: Tensor, m: int) -> SparseMLP:
    """Return the gated network of weights ``[gates d]``; further neurons up to ``m`` have none."""
    d = gates.shape[1]
    full = torch.zeros(m, d, dtype=gates.dtype, device=gates.device)
    full[: len(gates)] = torch.from_numpy(weights.reshape(len(gates), d)).to(gates)
    layer = SparseMatrix.from_dense(full)
    live = layer.live_rows()
    rules = SparseMatrix(coordinates(live, d), gates[live].flatten(), m, d)
    return SparseMLP((layer,), torch.ones(m).to(gates), rules)
