"""Linear models with a concave penalty that cross-validation chooses, by skglm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from mlpiht_cli.baselines.yardsticks.rows import Linear, Rows, events_of, missing, package, refusal
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Skglm(Method):
    """The minimax concave penalty (MCP) of skglm; five-fold cross-validation on the training rows chooses its strength.

    Numbers are predicted with the squared loss, two classes with the logistic loss; held-out rows are judged by the
    same loss. The concave penalty shrinks large weights less than a lasso does. It keeps no budget: the penalty decides
    how many weights are left. Width and depth have no effect. The intercept is free.
    """

    name: ClassVar[str] = "skglm"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False
    keeps_budget: ClassVar[bool] = False

    penalties: int = Field(30, ge=2, description="number of penalties tried")
    least: float = Field(
        1e-3, gt=0, lt=1, description="least penalty tried, as a share of the least that leaves no weight"
    )
    concavity: float = Field(
        3.0, gt=1, allow_inf_nan=False, description="MCP's gamma, times the inverse of the loss's largest curvature"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input and output."""
        return d * k

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require the package, and one output."""
        fault = missing("skglm") or refusal(self.name, problem, ("numbers", "two classes"))
        return fault or super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Fit once; the model has as many weights as its penalty leaves."""
        yield from events_of(problem, self._fitted)

    def _fitted(self, rows: Rows) -> Linear:
        """Fit every penalty on the training rows of every part, then the best penalty on all rows."""
        y = rows.y if rows.kind == "numbers" else 2.0 * rows.y - 1.0
        slopes = rows.x.T @ (y - y.mean()) / len(y) / (1 if rows.kind == "numbers" else 2)
        tried = np.abs(slopes).max() * np.geomspace(1, self.least, self.penalties)
        errors = np.zeros(len(tried))
        for train, test in rows.folds():
            for i, penalty in enumerate(tried):
                model = self._model(rows, penalty).fit(rows.x[train], y[train])
                errors[i] += _loss(rows, _output(model, rows.x[test]), y[test])
        best = float(tried[int(errors.argmin())])
        model = self._model(rows, best).fit(rows.x, y)
        bias = np.reshape(np.asarray(model.intercept_, float), 1)
        return Linear(np.reshape(model.coef_, (1, -1)), bias, int(np.max(model.n_iter_)), {"penalty": best})

    def _model(self, rows: Rows, penalty: float) -> Any:
        """Return the estimator of one penalty; the curvature of the logistic loss is at most a quarter."""
        skglm = package("skglm")
        of_numbers = rows.kind == "numbers"
        loss = skglm.datafits.Quadratic() if of_numbers else skglm.datafits.Logistic()
        concave = skglm.penalties.MCPenalty(penalty, self.concavity if of_numbers else 4.0 * self.concavity)
        return skglm.GeneralizedLinearEstimator(loss, concave, skglm.solvers.AndersonCD())


def _output(model: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x @ np.ravel(model.coef_) + model.intercept_)


def _loss(rows: Rows, output: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Loss of held-out rows: the squared one, or the logistic one of signs."""
    if rows.kind == "numbers":
        return float(np.square(output - y).mean())
    return float(np.logaddexp(0.0, -y * output).mean())
