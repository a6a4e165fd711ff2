"""From a row to a number: the one place that reads scores out of rows. Loads without torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlpiht_cli.core.metric import metric, task_metrics
from mlpiht_cli.records.rows import SCORES, Row

if TYPE_CHECKING:
    from mlpiht_cli.specs.schema import Claim

KEEP_NO_BUDGET = frozenset({"boosting", "dense", "feature_learning", "gradient_descent", "lasso_cv", "mlp", "skglm"})
"""Methods whose networks may have more nonzeros than the budget: what their classes say, read without torch."""


def recorded(row: Row, name: str | None = None) -> float | None:
    """A score as the row holds it: one of the columns ``SCORES``, the value of the row's metric, or a measure.

    Parameters
    ----------
    name
        Metric or other score; None for the metric of the row's task.

    Returns
    -------
    None where the row has no such number; yes and no count as 1 and 0.
    """
    name = row.metric if name is None else name
    places = (getattr(row, name) if name in SCORES else None, row.value if name == row.metric else None)
    value = next((one for one in places if one is not None), row.measures.get(name))
    return None if value is None or isinstance(value, str) else float(value)


def number(row: Row, name: str | None = None) -> float | None:
    """A score as claims and figures count it: an infinite PSNR is the finite number that its metric names.

    Returns
    -------
    None where the row has no such score; nan where the run skipped, diverged or failed, or the value is not a number.
    """
    if row.status != "ok":
        return math.nan
    value = recorded(row, name)
    if value is None:
        return None
    return math.nan if value == -math.inf else metric(row.metric if name is None else name).countable(value)


def word(row: Row, name: str) -> str | None:
    """A measure of a finished row that is a word; None where it is a number, and where there is none."""
    value = row.measures.get(name)
    return value if row.status == "ok" and isinstance(value, str) else None


def finite_number(row: Row, name: str | None = None) -> float | None:
    """The :func:`number` of a row where it is finite, else None."""
    value = number(row, name)
    return value if value is not None and math.isfinite(value) else None


def finite_numbers(rows: Iterable[Row], name: str | None = None) -> list[float]:
    """Finite numbers of rows, in their order; rows without one are left out."""
    return [value for row in rows if (value := finite_number(row, name)) is not None]


def least_first(row: Row, name: str) -> float:
    """Key that sorts rows from the least number up; rows without a finite one come last."""
    value = finite_number(row, name)
    return math.inf if value is None else value


def ranked(row: Row, name: str) -> float | None:
    """The finite number, or inf where the run ended first: a support that moves in the last step has not settled."""
    value, bound = recorded(row, name), metric(name).within
    if row.status == "ok" and value is not None and bound is not None and value >= (recorded(row, bound) or 0.0):
        return math.inf
    return finite_number(row, name)


def claimed(row: Row, claim: Claim) -> float | None:
    """Score of a row as a claim counts it: a number, a difference or ratio of two, or 1 where it is the word.

    Returns
    -------
    None where the row lacks a score; nan as in :func:`number`, and for 0 over 0; a number over 0 is infinite.
    """
    if claim.word is not None:
        said = word(row, claim.metric or "")
        return math.nan if row.status != "ok" else None if said is None else float(said == claim.word)
    first, name = number(row, claim.metric), claim.minus or claim.over
    if name is None or first is None:
        return first
    second = number(row, name)
    if second is None or claim.minus is not None:
        return None if second is None else first - second
    return first / second if second else math.copysign(math.inf, first) if first else math.nan


def intact(row: Row) -> bool:
    """Whether the columns of a row agree: metric and value, exact recovery, budget and nonzeros."""
    if row.status != "ok":
        return True
    if row.nnz is not None and row.nnz > row.s and row.method not in KEEP_NO_BUDGET:
        return False
    known = task_metrics()
    if row.metric not in known:
        return False
    columns = {name: getattr(row, name) for name, one in known.items() if one.column}
    levels = [known[name].is_exact(value) for name, value in [*columns.items(), (row.metric, row.value)]]
    if row.exact is not None and any(level is not None and level != row.exact for level in levels):
        return False
    if row.metric not in columns:
        return all(column is None for column in columns.values())
    value, column = row.value, columns[row.metric]
    if value is None or column is None:
        return value is column
    return (math.isnan(value) and math.isnan(column)) or math.isclose(value, column, rel_tol=1e-9)
