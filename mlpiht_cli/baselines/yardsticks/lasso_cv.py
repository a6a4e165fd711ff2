"""Linear models with an l1 penalty that cross-validation chooses, by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from mlpiht_cli.baselines.yardsticks.rows import Linear, Rows, events_of, refusal
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


class LassoCV(Method):
    """The lasso of scikit-learn; five-fold cross-validation on the training rows chooses its penalty.

    Numbers are predicted by ``LassoCV``, which chooses by the squared error; classes by ``LogisticRegressionCV`` with
    an l1 penalty, which chooses by the log loss. It keeps no budget: the penalty decides how many weights are left.
    Width and depth have no effect. The intercept is free.
    """

    name: ClassVar[str] = "lasso_cv"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False
    keeps_budget: ClassVar[bool] = False

    penalties: int = Field(100, ge=2, description="number of penalties tried for numbers")
    penalties_of_classes: int = Field(10, ge=2, description="number of penalties tried for classes")
    steps: int = Field(1000, ge=1, description="largest number of passes for one penalty")
    tolerance: float = Field(1e-3, gt=0, allow_inf_nan=False, description="largest change of a weight that ends a fit")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input and output."""
        return d * k

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one output, or classes."""
        return refusal(self.name, problem, ("numbers", "two classes", "classes")) or super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Fit once; the model has as many weights as its penalty leaves."""
        yield from events_of(problem, self._fitted)

    def _fitted(self, rows: Rows) -> Linear:
        from sklearn import linear_model

        if rows.kind == "numbers":
            # It draws a number even where it uses none: without a seed from the global state.
            shared = {"max_iter": self.steps, "tol": self.tolerance, "random_state": 0, "cv": rows.folds()}
            lasso = linear_model.LassoCV(alphas=self.penalties, **shared)
            lasso.fit(rows.x, rows.y)
            facts = {"penalty": float(lasso.alpha_)}
            return Linear(lasso.coef_[None], np.array([lasso.intercept_]), int(lasso.n_iter_), facts)
        logistic = linear_model.LogisticRegressionCV(
            Cs=self.penalties_of_classes,
            l1_ratios=(1,),
            solver="saga",
            cv=rows.folds(),
            scoring="neg_log_loss",
            max_iter=self.steps,
            tol=self.tolerance,
            random_state=0,
            use_legacy_attributes=False,
        ).fit(rows.x, rows.y)
        facts = {"penalty": 1.0 / float(logistic.C_) / len(rows.y)}
        return Linear(logistic.coef_, logistic.intercept_, int(np.max(logistic.n_iter_)), facts)
