"""From an estimator's parameters to a fitted network: methods, their settings, and the choice of width and budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.crossval import Candidate, Validated, choose, cross_validate, standard_error
from mlpiht_cli.core.fit import Status
from mlpiht_cli.core.method import Method
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.starts import training_loss
from mlpiht_cli.core.table_settings import suited
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan import METHODS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.candidates import LINES, OpenShape, candidates


@dataclass(frozen=True)
class Found:
    """The network of all training rows, the candidate it comes from, and what cross-validation said (maybe nothing).

    ``model`` is in float64, and ``loss`` is its training loss.
    """

    model: SparseMLP
    candidate: Candidate
    iterations: int
    loss: float
    results: list[Validated]

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """Arrays ``[candidates]`` by name: the candidates, and mean and standard error of their held-out results."""
        columns: dict[str, list[Any]] = {
            "method": [one.candidate.method.name for one in self.results],
            "m": [one.candidate.m for one in self.results],
            "s": [one.candidate.s for one in self.results],
            "mean_error": [one.error for one in self.results],
            "se_error": [standard_error(one.errors, one.folds) for one in self.results],
            "mean_score": [one.score for one in self.results],
            "se_score": [one.score_error for one in self.results],
        }
        return {name: np.array(values) for name, values in columns.items()}


@dataclass(frozen=True)
class Search:
    """Parameters of a fit; a width ``m`` or budget ``s`` of None is chosen by cross-validation."""

    method: str
    m: int | None
    s: int | None
    starts: int
    cv: int
    seed: int

    def run(self, problem: Problem) -> Found:
        """Choose width and budget by the training rows, and fit all of them.

        Raises
        ------
        InputError
            The budget is above the number of weights, or no fit has finite numbers.
        """
        tried = self._candidates(problem)
        results = cross_validate(problem, tried, min(self.cv, problem.n), self.seed) if len(tried) > 1 else []
        best = choose(results).candidate if results else tried[0]
        fit = best.method.fit(problem, best.shape, best.s, Streams(self.seed))
        if fit.status is not Status.OK:
            raise InputError(f"{best.method.name} diverged ({fit.reason}); set standardise=True, or scale the inputs")
        model = fit.model.to("cpu", torch.float64)
        return Found(model, best, fit.iterations, training_loss(model, problem), results)

    def _candidates(self, problem: Problem) -> list[Candidate]:
        network, line = self._made(self.method), LINES.get(self.method)
        budgets = None if self.s is None else [self.s]
        if line is None:  # the method is a line, on which width has no effect
            return candidates(network, None, problem, OpenShape(1), budgets)
        return candidates(network, self._made(line), problem, OpenShape(self.m), budgets)

    def _made(self, name: str) -> Method:
        return suited(METHODS[name], starts=self.starts)
