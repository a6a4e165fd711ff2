"""IHT with a width and budget that cross-validation chooses: what ``mlpiht fit`` does to a table, as one method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from mlpiht_cli.core.crossval import choose, cross_validate
from mlpiht_cli.core.fit import Diverged, Events, Reached, Status, Step
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.table_settings import STARTS, suited
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.candidates import BUDGETS, WIDEST, OpenShape, candidates
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_linear import IHTLinear
from mlpiht_cli.solvers.iht_logistic import IHTLogistic
from mlpiht_cli.solvers.iht_vector import IHTVector


class IHTCrossValidated(Method):
    """The budget is a bound: cross-validation on the training data chooses a network or a sparse line within it.

    Networks are those of ``iht`` (squared loss) or ``iht_vector`` (cross-entropy), lines those of ``iht_linear`` or
    ``iht_logistic``, all with the settings that suit tables. The width follows the budget; the one asked for has no
    effect.
    """

    name: ClassVar[str] = "iht_cv"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(depth=1)

    starts: int = Field(STARTS, ge=1, description="random starts of the network; at most three in cross-validation")
    folds: int = Field(5, ge=2, description="folds of the training data")
    exact: bool = Field(False, description="try the bound alone, as `mlpiht fit --s` does, and no smaller budget")
    later: ClassVar[frozenset[str]] = frozenset({"exact"})

    @property
    def runs(self) -> int:
        """One: the starts are those of the networks within."""
        return 1

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of the largest network: the largest budget that makes sense."""
        return BUDGETS[-1]

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require what its networks require: one output for the squared loss; and one hidden layer."""
        network, _ = self._methods(problem)
        return super().supports(problem, shape) or network.supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Choose and fit for one bound; the steps are those of the fit on all training data."""
        network, line = self._methods(problem)
        allowed = [s for s in BUDGETS if s <= budgets[0]]
        if self.exact:  # all weights of the widest network, where the bound is above them
            allowed = [min(budgets[0], network.weights(problem.d, problem.k, Shape(WIDEST)))]
        tried = candidates(network, line, problem, OpenShape(), allowed)
        results = cross_validate(problem, tried, self.folds, streams.seed)
        if not any(math.isfinite(one.error) for one in results):
            raise Diverged("no fit of the cross-validation has finite predictions")
        one = choose(results).candidate
        fit = one.method.fit(problem, one.shape, one.s, streams)
        for loss in fit.history:
            yield Step(loss)
        if fit.status is not Status.OK:
            raise Diverged(fit.reason)
        facts = {**fit.facts, "chosen": one.method.name, "chosen_m": one.m, "chosen_s": one.s}
        yield Reached(fit.model, facts=facts)

    def _methods(self, problem: Problem) -> tuple[Method, Method]:
        """Return the methods of networks and of lines."""
        line, kind = (IHTLinear, IHT) if problem.loss == "squared" else (IHTLogistic, IHTVector)
        return suited(kind, starts=self.starts, dtype=self.dtype), suited(line, dtype=self.dtype)
