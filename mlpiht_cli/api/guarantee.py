"""The recovery guarantee of gates and data, measured: ``mlpiht diagnose`` for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from mlpiht_cli.api.problems import Data, check_whole, matrix
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError, shown
from mlpiht_cli.rng import Streams
from mlpiht_cli.theory.diagnosis import Asked, report
from mlpiht_cli.theory.diagnosis import diagnose as measure
from mlpiht_cli.theory.gates import Gates, fitted_gates, given_gates, planted_gates, random_gates


def diagnose(
    x: Data | Problem,
    gates: Literal["planted", "random"] | SparseMLP | Data = "random",
    *,
    s: int,
    m: int | None = None,
    s_tilde: float | None = None,
    columns: Sequence[int] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Measure what Theorem 1 of the paper assumes, and say whether it applies.

    Parameters
    ----------
    x
        Inputs ``[n, d]``, or a problem, whose training inputs are used.
    gates
        "random" (m of them), "planted" (a problem's), those of a network, or gate vectors ``[p, d]``.
    s
        Number of nonzero weights that should be recovered.
    m
        Number of random gates.
    s_tilde
        Budget over s that is asked about; by default the least that the theorem's condition allows.
    columns
        Further numbers of columns whose eigenvalues are bracketed.
    seed
        Seed of random gates and random supports.

    Returns
    -------
    What ``mlpiht diagnose --json`` prints.

    Raises
    ------
    InputError
        Data or gates do not fit together, nothing was planted, or every neuron is dead.
    """
    inputs = x.x if isinstance(x, Problem) else matrix(x, "x")
    check_whole({"s": s} if m is None else {"s": s, "m": m}, seed)
    if isinstance(gates, str):
        chosen = _named(x, inputs.shape[1], gates, m, seed)
    elif isinstance(gates, SparseMLP):
        chosen = fitted_gates(gates)
    else:
        chosen = given_gates("fitted", matrix(gates, "gates").double().numpy())
    if chosen.vectors.shape[1] != inputs.shape[1]:
        raise InputError(f"x has {inputs.shape[1]} columns, the gates have {chosen.vectors.shape[1]}")
    return report(measure(inputs, chosen, Asked(s, s_tilde, columns), Streams(seed)))


def _named(x: Data | Problem, d: int, gates: str, m: int | None, seed: int) -> Gates:
    """Gates by name."""
    if gates == "planted" and isinstance(x, Problem):
        return planted_gates(x)
    if gates != "random":
        raise InputError(f"gates={shown(gates)}: give random, planted (with a problem), a network, or an array [p, d]")
    if m is None:
        raise InputError("gates='random': give m, the number of gates")
    return random_gates(d, m, Streams(seed))
