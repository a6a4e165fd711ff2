"""The one place that turns a row into a number."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mlpiht_cli.analysis.scores import finite_number, finite_numbers, number, ranked, recorded
from mlpiht_cli.core.metric import PERFECT_DB
from mlpiht_cli.records.rows import Row, RowStatus


def row(value: float | None = 1.5, **changes: Any) -> Row:
    base = {"cell": "c", "task": "planted", "method": "iht", "depth": 1, "m": 1, "s": 1, "seed": 0, "params": {}}
    return Row(**{**base, "status": "ok", "metric": "psnr", "value": value, "psnr": value, **changes})


@pytest.mark.parametrize(
    ("value", "counted", "shown"),
    [(1.5, 1.5, 1.5), (math.inf, PERFECT_DB, PERFECT_DB), (-math.inf, math.nan, None), (math.nan, math.nan, None)],
)
def test_a_value_counts_and_is_shown(value: float, counted: float, shown: float | None) -> None:
    assert recorded(row(value)) == pytest.approx(value, nan_ok=True)
    for name in (None, "psnr"):
        assert number(row(value), name) == pytest.approx(counted, nan_ok=True)
    assert finite_number(row(value)) == shown


def test_a_row_without_the_score_has_none() -> None:
    assert (recorded(row(), "accuracy"), number(row(), "accuracy"), finite_number(row(), "accuracy")) == (
        None,
        None,
        None,
    )
    assert (number(row(None)), finite_number(row(None)), ranked(row(None), "psnr")) == (None, None, None)


@pytest.mark.parametrize("status", ["diverged", "failed", "skipped", "timeout"])
def test_a_run_that_went_wrong_has_no_number(status: RowStatus) -> None:
    """Methods report measures of diverged runs, too; they count for nothing."""
    broken = row(None, status=status, settled=3, iterations=9, measures={"lipschitz": 2.0})
    for name in (None, "psnr", "accuracy", "lipschitz", "settled"):
        found = number(broken, name)
        assert found is not None
        assert math.isnan(found)
        assert finite_number(broken, name) is None
    assert ranked(broken, "settled") is None
    assert finite_numbers([broken, row(2.0), row(None), row(math.inf)]) == [2.0, PERFECT_DB]


@pytest.mark.parametrize(
    ("settled", "iterations", "rank"), [(8, 9, 8.0), (9, 9, math.inf), (0, 0, math.inf), (1, None, math.inf)]
)
def test_a_support_that_moves_in_the_last_step_has_not_settled(
    settled: int, iterations: int | None, rank: float
) -> None:
    made = row(settled=settled, iterations=iterations)
    assert ranked(made, "settled") == rank
    assert finite_number(made, "settled") == settled
    assert ranked(made, "psnr") == 1.5
