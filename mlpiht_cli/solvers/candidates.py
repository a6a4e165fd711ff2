"""Candidates for a choice by cross-validation: networks of several budgets, and sparse lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlpiht_cli.core.crossval import Candidate
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError

NARROWEST, WIDEST = 4, 10
"""Hidden widths that are tried: room for two weights a neuron, between these. Four neurons have two of each sign."""
BUDGETS = (1, 2, 4, 6, 8, 10, 15, 20, 30, 40)
"""Budgets that are tried."""
ROWS_PER_WEIGHT = 5
"""Least number of training rows for each weight of a budget that is tried."""
LINES = {"iht": "iht_linear", "iht_realloc": "iht_linear", "iht_vector": "iht_logistic"}
"""Method of the sparse line that is tried next to the networks of a method, by name."""


class OpenShape(NamedTuple):
    """Shape of a network whose width may be open."""

    m: int | None = None
    depth: int = 1


def width(s: int) -> int:
    """Return the hidden width that is tried at a budget."""
    return min(WIDEST, max(NARROWEST, s // 2))


def candidates(
    network: Method, line: Method | None, problem: Problem, shape: OpenShape, budgets: Sequence[int] | None
) -> list[Candidate]:
    """Return the candidates of a method: simplest first at each budget.

    Parameters
    ----------
    network
        The method, with its settings.
    line
        Method of a line that is tried where the width is free; None: no line.
    problem
        Gives the number of rows, inputs and outputs.
    shape
        Shape of the networks; without a width, :func:`width` of each budget.
    budgets
        Budgets; None: those of ``BUDGETS`` that the method and the number of rows allow.

    Raises
    ------
    InputError
        Nothing is left to try.
    """
    found = list(_all(network, line if shape.m is None else None, problem, shape, budgets))
    if not any(one.method is network for one in found):
        least = min(budgets or BUDGETS)
        raise InputError(f"s={least} is above the number of weights of the networks tried; lower s, or give a larger m")
    return found


def _all(
    network: Method, line: Method | None, problem: Problem, shape: OpenShape, budgets: Sequence[int] | None
) -> Iterator[Candidate]:
    most = max(BUDGETS[0], problem.n // ROWS_PER_WEIGHT)
    tried_budgets = budgets or [one for one in BUDGETS if one <= most]
    for budget in tried_budgets if network.keeps_budget else tried_budgets[-1:]:
        if line is not None:
            _check(line, problem, Shape(1))
            weights = line.weights(problem.d, problem.k, Shape(1))
            if budget <= weights or budget == min(budgets or [0]):  # a budget that is given keeps all weights of a line
                yield Candidate(line, Shape(1), min(budget, weights))
        own = 1 if network.name in LINES.values() else width(budget)  # width has no effect on a line
        tried = Shape(shape.m or own, shape.depth)
        _check(network, problem, tried)
        fits = not network.keeps_budget or budget <= network.weights(problem.d, problem.k, tried)
        if fits and budget >= shape.depth:
            yield Candidate(network, tried, budget)


def _check(method: Method, problem: Problem, shape: Shape) -> None:
    """Refuse a problem that the method cannot treat."""
    reason = method.supports(problem, shape)
    if reason is not None:
        raise InputError(reason)
