"""Measurements of the guarantee as methods, so that specs sweep them: no weights are fitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.core.fit import Events, Fact, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Precision, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.theory.columns import UnitColumns
from mlpiht_cli.theory.diagnosis import Asked, Diagnosis, diagnose
from mlpiht_cli.theory.gates import given_gates, planted_gates, random_gates
from mlpiht_cli.theory.pairs import largest_of_pair, least_of_pair, pair_of_gates


def measured(problem: Problem, shape: Shape, facts: dict[str, Fact]) -> Events:
    """Yield the network without weights, and what was measured."""
    yield Step(float(LOSSES[problem.loss](torch.zeros_like(problem.y), problem.y)))
    silent = SparseMLP.silent(shape.widths(problem.d, problem.k), problem.x)
    yield Reached(silent, facts=facts, iterations=0)


class Eigenvalues(Method):
    """Measures the restricted eigenvalues of s unit columns, and whether Theorem 1 of P1 applies to s nonzeros.

    It fits nothing: its network has no weights, and its facts are what counts. ``mlpiht diagnose`` says the same of one
    problem, with the supports.
    """

    name: ClassVar[str] = "eigenvalues"
    version: ClassVar[int] = 1

    dtype: Precision = "float64"
    gates: Literal["planted", "random"] = Field("random", description="gates: the planted network's, or m random ones")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of columns of m gates."""
        return shape.m * d

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require a planted network for planted gates."""
        if self.gates == "planted" and problem.truth is None:
            return "gates: planted needs a task that plants a network; use gates: random"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Measure; nothing is random but the gates and the supports that are drawn for comparison."""
        planted = self.gates == "planted"
        gates = planted_gates(problem) if planted else random_gates(problem.d, shape.m, streams)
        return measured(problem, shape, _facts(diagnose(problem.x, gates, Asked(budgets[0]), streams)))


def _facts(found: Diagnosis) -> dict[str, Fact]:
    """The diagnosis of s columns as facts; numbers that are infinite or unknown are left out."""
    patterns, bracket = found.columns.patterns, found.eigenvalues.bracket(found.s)
    names = ("alpha_found", "alpha_random", "alpha_certified", "beta_found", "beta_random", "beta_certified")
    numbers = {name: getattr(bracket, name) for name in (*names, "kappa_found", "kappa_certified")}
    numbers |= {"needed_budget": found.verdict.needed_found, "eps": patterns.eps, "gamma": patterns.gamma}
    for name, own in (("own", found.own), ("merged", found.merged)):
        if own is not None:
            numbers |= {f"alpha_{name}": own.alpha, f"beta_{name}": own.beta, f"rank_{name}": own.rank}
    facts: dict[str, Fact] = {"verdict": found.verdict.answer, "live": len(patterns.live)}
    facts |= {"duplicate_pairs": patterns.duplicate_pairs, "distinct": len(patterns.distinct)}
    return facts | {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}


class GatePair(Method):
    """Measures the eigenvalues of all unit columns of two gates at an angle, and gives the closed form for them.

    The closed form is that of Gaussian inputs and infinitely many samples; see :mod:`mlpiht_cli.theory.pairs`.
    """

    name: ClassVar[str] = "gate_pair"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False
    needs: ClassVar[Needs] = Needs(samples=2)

    dtype: Precision = "float64"
    angle: float = Field(0.5, gt=0, lt=1, description="angle between the two gates, over pi")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of columns of two gates."""
        return 2 * d

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require two features, which span an angle."""
        if problem.d < 2:
            return "gate_pair needs 2 features or more, the problem has 1"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Measure the pair."""
        angle = math.pi * self.angle
        gates = given_gates("random", pair_of_gates(angle, problem.d))
        columns = UnitColumns(problem.columns.cpu().numpy(), gates.patterns(problem.x))
        values = np.linalg.eigvalsh(columns.gram(columns.index))
        facts: dict[str, Fact] = {"lambda_min": float(values[0]), "lambda_max": float(values[-1])}
        facts |= {"lambda_min_formula": least_of_pair(angle), "lambda_max_formula": largest_of_pair(angle)}
        return measured(problem, shape, facts)
