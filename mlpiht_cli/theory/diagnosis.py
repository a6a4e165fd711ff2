"""Everything that is measured of one operator, as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.theory.bounds import Bracket, Eigenvalues, rounding
from mlpiht_cli.theory.columns import Index, UnitColumns
from mlpiht_cli.theory.gates import Gates
from mlpiht_cli.theory.verdict import Verdict, verdict

if TYPE_CHECKING:
    from torch import Tensor

MOST_OWN = 4000
"""Largest support whose Gram matrix is made."""


@dataclass(frozen=True)
class Own:
    """Eigenvalues of the columns of one support, that of the weights.

    Attributes
    ----------
    size, rank
        Number of columns that are not zero, and of independent ones.
    alpha, beta
        Least and largest eigenvalue of their Gram matrix; alpha is 0 where they are dependent.
    """

    size: int
    rank: int
    alpha: float
    beta: float

    @classmethod
    def of(cls, columns: UnitColumns, index: Index) -> Own | None:
        """Measure the columns ``index``; None if none of them is there, or they are too many."""
        index = index[columns.norms[index] > 0]
        if not 0 < len(index) <= MOST_OWN:
            return None
        values = np.linalg.eigvalsh(columns.gram(index))
        noise = rounding(len(index), float(values[-1]))
        alpha = float(values[0]) if values[0] > noise else 0.0
        return cls(len(index), int((values > noise).sum()), alpha, float(values[-1]))


@dataclass(frozen=True)
class Diagnosis:
    """What is measured of the operator of one set of gates on one data set."""

    gates: Gates
    eigenvalues: Eigenvalues
    own: Own | None
    merged: Own | None
    s: int
    brackets: list[Bracket]
    verdict: Verdict

    @property
    def columns(self) -> UnitColumns:
        """The unit columns."""
        return self.eigenvalues.columns


@dataclass(frozen=True)
class Asked:
    """What a diagnosis is about.

    Attributes
    ----------
    s
        Number of nonzeros of the weights that should be recovered.
    relax
        Budget over s that is asked about, ``s~ = ceil(relax s)``; None: the least budget that the condition allows.
    sizes
        Further numbers of columns whose eigenvalues are bracketed.
    """

    s: int
    relax: float | None = None
    sizes: Sequence[int] = ()


def diagnose(x: Tensor, gates: Gates, asked: Asked, streams: Streams) -> Diagnosis:
    """Measure what Theorem 1 of P1 assumes of ``gates`` on inputs ``x`` ``[n, d]``, and say whether it applies.

    Raises
    ------
    InputError
        No neuron is open on any sample.
    """
    features = np.ascontiguousarray(x.T.cpu().numpy())
    columns = UnitColumns(features, gates.patterns(x))
    if not len(columns.index):
        raise InputError("every neuron is dead or every input is 0: there is no column to measure; use other gates")
    eigenvalues = Eigenvalues(columns, streams.supports())
    s = asked.s
    budget = None if asked.relax is None else math.ceil(asked.relax * s)
    judged = verdict(eigenvalues, s, budget)
    tilde = budget or min(judged.needed_found, float(eigenvalues.size))
    sizes = {2, s, 2 * s, int(min(2 * tilde + s, eigenvalues.size)), *asked.sizes}
    own = merged = None
    if gates.own is not None:
        own, merged = Own.of(columns, gates.own), Own.of(columns, columns.merged(gates.own))
    return Diagnosis(gates, eigenvalues, own, merged, s, eigenvalues.brackets(sizes), judged)


def report(found: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as JSON values, but for infinite numbers."""
    columns, eigenvalues = found.columns, found.eigenvalues
    patterns, n = columns.patterns, columns.features.shape[1]
    norms = columns.norms[columns.index]
    return {
        "gates": found.gates.source,
        "n": n,
        "d": columns.d,
        "s": found.s,
        "patterns": {
            "neurons": len(patterns.masks),
            "live": len(patterns.live),
            "dead": patterns.dead,
            "always_on": patterns.always_on,
            "distinct": len(patterns.distinct),
            "duplicate_pairs": patterns.duplicate_pairs,
            "antipodal_pairs": patterns.antipodal_pairs,
            "eps": patterns.eps,
            "gamma": patterns.gamma,
            "gamma_distinct": patterns.gamma_distinct,
        },
        "columns": {
            "count": eigenvalues.size,
            "zero": columns.zero,
            "least_norm": float(norms.min()),
            "largest_norm": float(norms.max()),
            "coherence": eigenvalues.coherence,
            "examined": "all" if eigenvalues.complete else "part",
            "rank": eigenvalues.rank,
        },
        "own_support": None if found.own is None else vars(found.own),
        "own_support_merged": None if found.merged is None else vars(found.merged),
        "supports": [_bracket(one, found) for one in found.brackets],
        "condition": "s~ >= 32 kappa^2 s, kappa of 2 s~ + s columns",
        "least_budget_found": found.verdict.needed_found,
        "least_budget_certified": found.verdict.needed_certified,
        "verdict": found.verdict.answer,
        "because": found.verdict.reason,
    }


def _bracket(one: Bracket, found: Diagnosis) -> dict[str, Any]:
    return {
        "k": one.k,
        "alpha_found": one.alpha_found,
        "alpha_random": one.alpha_random,
        "alpha_certified": one.alpha_certified,
        "beta_found": one.beta_found,
        "beta_random": one.beta_random,
        "beta_certified": one.beta_certified,
        "kappa_found": one.kappa_found,
        "kappa_certified": one.kappa_certified,
        "alpha_support": _places(one.alpha_support, found),
        "beta_support": _places(one.beta_support, found),
    }


def _places(index: Index, found: Diagnosis) -> list[list[int]]:
    """Columns as ``[neuron, feature]``, with the neuron's number in its network."""
    rows, features = np.divmod(index, found.columns.d)
    return [[int(neuron), int(feature)] for neuron, feature in zip(found.gates.numbers[rows], features, strict=True)]
