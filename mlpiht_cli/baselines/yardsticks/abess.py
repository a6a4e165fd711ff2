"""The best subset of features of a linear model, by abess."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import numpy as np

from mlpiht_cli.baselines.yardsticks.rows import Linear, Rows, events_of, missing, package, refusal
from mlpiht_cli.core.fit import Events
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


class Abess(Method):
    """The best subset of abess: the linear model of exactly s weights with the least loss that splicing finds.

    Numbers are predicted with the squared loss, two classes with the logistic and more with the multinomial one. That
    one compares K classes with the last: a feature has K - 1 weights, and s / (K - 1) features are kept, rounded down.
    Width and depth have no effect. The intercept is free.
    """

    name: ClassVar[str] = "abess"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input and output."""
        return d * k

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require the package, and one output or classes."""
        fault = missing("abess") or refusal(self.name, problem, ("numbers", "two classes", "classes"))
        return fault or super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Fit one budget."""
        yield from events_of(problem, partial(_fitted, budgets[0]))


def _fitted(budget: int, rows: Rows) -> Linear:
    abess = package("abess")
    of_classes = rows.kind == "classes"
    each = len(np.unique(rows.y)) - 1 if of_classes else 1
    kept = min(budget // each, rows.x.shape[1])
    kinds = {
        "numbers": abess.LinearRegression,
        "two classes": abess.LogisticRegression,
        "classes": abess.MultinomialRegression,
    }
    model = kinds[rows.kind](support_size=kept).fit(rows.x, rows.y)
    weights = model.coef_.T if of_classes else model.coef_[None]
    return Linear(weights, np.reshape(np.asarray(model.intercept_, float), -1), 1, {"features": kept})
