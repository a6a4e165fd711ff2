"""Candidates for a choice by cross-validation: networks of several budgets, and sparse lines."""

from __future__ import annotations

from collections.abc import Iterator

from mlpiht_cli.core.crossval import Candidate
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError

WIDEST, NARROWEST = 10, 2
"""Hidden widths that are tried: room for two weights a neuron, between these."""
BUDGETS = (1, 2, 4, 6, 8, 10, 15, 20, 30, 50)
"""Budgets that are tried."""
ROWS_PER_WEIGHT = 5
"""Least number of training rows for each weight of a budget that is tried."""
LINES = {"iht": "iht_linear", "iht_realloc": "iht_linear", "iht_vector": "iht_logistic"}
"""Method of the sparse line that is tried next to the networks of a method, by name."""


def width(s: int) -> int:
    """Return the hidden width that is tried at a budget."""
    return min(WIDEST, max(NARROWEST, s // 2))


def candidates(network: Method, line: Method | None, problem: Problem, m: int | None, s: int | None) -> list[Candidate]:
    """Return the candidates of a method: simplest first at each budget.

    Parameters
    ----------
    network
        The method, with its settings.
    line
        Method of a line that is tried where the width is free; None: no line.
    problem
        Gives the number of rows, inputs and outputs.
    m, s
        Width and budget; None: :func:`width` of each budget, and those of ``BUDGETS`` that the method and the number
        of rows allow.

    Raises
    ------
    InputError
        Nothing is left to try.
    """
    found = list(_all(network, None if m is not None else line, problem, (m, s)))
    if not found:
        raise InputError(f"s={s} is above the number of weights of the width tried; lower s, or give a larger m")
    return found


def _all(
    network: Method, line: Method | None, problem: Problem, given: tuple[int | None, int | None]
) -> Iterator[Candidate]:
    m, s = given
    most = max(BUDGETS[0], problem.n // ROWS_PER_WEIGHT)
    budgets = [s] if s is not None else [one for one in BUDGETS if one <= most]
    for budget in budgets:
        kinds = [(line, 1)] if line is not None else []
        for method, hidden in [*kinds, (network, width(budget) if m is None else m)]:
            reason = method.supports(problem, Shape(hidden))
            if reason is not None:
                raise InputError(reason)
            if budget <= method.weights(problem.d, problem.k, Shape(hidden)):
                yield Candidate(method, hidden, budget)
