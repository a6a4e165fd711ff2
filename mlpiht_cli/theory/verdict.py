"""Whether Theorem 1 of P1 applies: a budget s~ of at least 32 (beta / alpha)^2 s, below the number of columns.

The condition is that of Jain, Tewari and Kar (2014), Theorem 1, which P1 builds on; there alpha and beta are those of
``2 s~ + s`` columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlpiht_cli.theory.bounds import Bracket, Eigenvalues

Answer = Literal["applies", "least squares only", "fails", "undecided"]

FACTOR = 32.0
"""The constant of the theorem's condition."""


@dataclass(frozen=True)
class Verdict:
    """Whether the theorem applies to planted weights with s nonzeros.

    Attributes
    ----------
    answer
        ``applies``: a budget below all columns is certain to satisfy the condition. ``least squares only``: none does,
        and with the budget of all columns IHT is gradient descent for least squares, which has one solution. ``fails``:
        none does, and least squares has more than one solution. ``undecided``: what is found does not refute the
        condition, and nothing certain confirms it.
    reason
        The figures it rests on, in words.
    needed_found
        Least budget that satisfies the condition by the bounds that supports show; none below it does. Infinite where
        the found supports have dependent columns.
    needed_certified
        Least budget that is certain to satisfy it; infinite where none is.
    """

    answer: Answer
    reason: str
    needed_found: float
    needed_certified: float


def least_budget(s: int, size: int, kappa: Callable[[int], float]) -> float:
    """Return the least ``s~ >= 32 kappa(min(2 s~ + s, size))^2 s``; infinite where kappa is.

    ``kappa`` must not fall with its argument, so that raising ``s~`` to what the condition asks finds the least one. A
    budget of ``size`` or more is returned as it is first met: all columns.
    """
    budget = math.ceil(FACTOR * s)
    while True:
        ratio = kappa(min(2 * budget + s, size))
        if math.isinf(ratio):
            return math.inf
        asked = math.ceil(FACTOR * ratio * ratio * s - 1e-9)
        if asked <= budget or budget >= size:
            return float(max(asked, budget))
        budget = asked


def verdict(eigenvalues: Eigenvalues, s: int, budget: int | None = None) -> Verdict:
    """Judge the theorem's condition for ``s`` nonzeros.

    Parameters
    ----------
    budget
        The budget ``s~`` that is asked about; None: any.
    """
    size = eigenvalues.size

    def found(k: int) -> float:
        return eigenvalues.bracket(k).kappa_found

    def certified(k: int) -> float:
        return eigenvalues.bracket(k).kappa_certified

    least, sure = least_budget(s, size, found), least_budget(s, size, certified)
    if budget is None:
        asked_found, asked_sure = least, sure
    else:
        asked_found, asked_sure = (
            budget if _holds(budget, s, size, kappa) else math.inf for kappa in (found, certified)
        )
    if asked_sure < size:
        reason = f"s~ = {asked_sure:g} satisfies s~ >= 32 kappa^2 s for every support of 2 s~ + s of the {size} columns"
        return Verdict("applies", reason, least, sure)
    if asked_found < size:
        return Verdict("undecided", _open(eigenvalues, s, asked_found), least, sure)
    if budget is not None and budget < size:
        return Verdict("fails", _too_small(eigenvalues, s, budget, least), least, sure)
    return _refuted(eigenvalues, s, least, sure)


def _holds(budget: int, s: int, size: int, kappa: Callable[[int], float]) -> bool:
    ratio = kappa(min(2 * budget + s, size))
    return budget >= FACTOR * ratio * ratio * s


def _too_small(eigenvalues: Eigenvalues, s: int, budget: int, least: float) -> str:
    """Why a budget that was asked about does not satisfy the condition."""
    bracket = eigenvalues.bracket(min(2 * budget + s, eigenvalues.size))
    least_words = "no budget does" if least >= eigenvalues.size else f"by what was found the least is {least:g}"
    return (
        f"s~ = {budget} does not satisfy s~ >= 32 kappa^2 s: kappa of {bracket.k} columns is at least "
        f"{bracket.kappa_found:.4g}; {least_words}"
    )


def _open(eigenvalues: Eigenvalues, s: int, least: float) -> str:
    """Why the condition is open."""
    bracket = eigenvalues.bracket(int(min(2 * least + s, eigenvalues.size)))
    return (
        f"no support that was found refutes s~ = {least:g} (kappa of {bracket.k} columns is at least "
        f"{bracket.kappa_found:.4g}), and the certain alpha >= {bracket.alpha_certified:.4g} does not confirm it"
    )


def _refuted(eigenvalues: Eigenvalues, s: int, least: float, sure: float) -> Verdict:
    """Return the verdict where no budget below all columns satisfies the condition."""
    size, n = eigenvalues.size, eigenvalues.columns.features.shape[1]
    decisive = _decisive(eigenvalues, s)
    ratio = f"kappa of {decisive.k} columns is at least {decisive.kappa_found:.4g}"
    if math.isinf(decisive.kappa_found):
        ratio = f"a support of {decisive.k} columns is dependent (alpha = 0)"
    elif FACTOR * s >= size:
        ratio = f"32 s = {FACTOR * s:g} alone is too much, and {ratio}"
    asks = "no s~ satisfies the condition" if math.isinf(least) else f"the condition asks for s~ >= {least:.4g}"
    words = f"{ratio}, so {asks}, and A has {size} columns"
    dependent = _dependent(eigenvalues)
    if dependent:
        return Verdict("fails", f"{words}; {dependent}, so least squares has more than one solution", least, sure)
    known = "rank " + str(size) if eigenvalues.rank is not None else f"at most {n} independent ones, not computed"
    words = f"{words}; with s~ = {size} IHT is least squares on all of them ({known})"
    return Verdict("least squares only", words, least, sure)


def _decisive(eigenvalues: Eigenvalues, s: int) -> Bracket:
    """The bracket of fewest columns that refutes every budget, among those that were looked at."""
    sizes = sorted({2, s, 2 * s, min(2 * math.ceil(FACTOR * s) + s, eigenvalues.size)})
    known = eigenvalues.brackets(sizes)
    enough = [one for one in known if FACTOR * one.kappa_found**2 * s >= eigenvalues.size]
    return enough[0] if enough else known[-1]


def _dependent(eigenvalues: Eigenvalues) -> str:
    """Why all columns together are dependent; empty if that is not known."""
    size, n, rank = eigenvalues.size, eigenvalues.columns.features.shape[1], eigenvalues.rank
    if eigenvalues.columns.patterns.duplicate_pairs:
        return f"{eigenvalues.columns.patterns.duplicate_pairs} pairs of neurons have one pattern"
    if n < size:
        return f"there are {n} samples for {size} columns"
    if rank is not None and rank < size:
        return f"their rank is {rank}"
    return "a support of dependent columns was found" if eigenvalues.bracket(size).alpha_found == 0 else ""
