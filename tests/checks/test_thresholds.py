"""Claims on the samples that a method needs, and on how they grow with d, on tables of a known law."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpiht_cli.analysis.scores import number
from mlpiht_cli.checks.claims import Judged, check_claims
from mlpiht_cli.checks.text import claims_text
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.schema import Spec
from tests.hand import VARIED

N, D = [4, 8, 16, 32, 64, 128], [4, 8, 16]
LAW = {"measure": "slope_in_d", "level": 0.5}
SAMPLES = {"measure": "threshold_n", "level": 0.5, "where": "panel=a,d=8"}


def spec_of(**claim: Any) -> Spec:
    data = parse(VARIED, Path("varied.yaml")).data
    panels = [{**data["panels"][0], "s": [2], "n": N, "d": D}]
    base = {"name": "c", "says": "so", "method": "iht_linear", "where": "panel=a", "metric": "recall"}
    figure = {"label": "x"}
    return Spec.model_validate(
        {**data, "panels": panels, "profiles": {}, "figure": figure, "claims": [{**base, **claim}]}
    )


def table(spec: Spec, exponent: float = 1.0, factor: float = 2.0) -> list[Row]:
    """Recall passes one half at n = factor d^exponent, a little earlier or later by seed."""
    rows = []
    for i, p in enumerate(expand(spec).points):
        n, d = p.n or 0, p.d or 0
        recall = 1 / (1 + factor * d**exponent * (0.9, 1.1)[p.seed] / n)
        base = {
            "panel": "a",
            "task": p.task,
            "method": p.method,
            "depth": 1,
            "m": 1,
            "s": 2,
            "seed": p.seed,
            "n": n,
            "d": d,
        }
        params = {"method": {"steps": 3}, "task": {}}
        scored = {"status": "ok", "metric": "relative_error", "value": 0.1, "measures": {"recall": recall}}
        rows.append(Row.model_validate({**base, **scored, "cell": f"c{i}", "params": params}))
    return rows


def judged(rows: list[Row] | None = None, law: tuple[float, float] = (1.0, 2.0), **claim: Any) -> Judged:
    spec = spec_of(**claim)
    (one,) = check_claims(expand(spec), table(spec, *law) if rows is None else rows)
    return one


def test_a_threshold_has_a_bootstrap_interval_in_place_of_the_jackknife() -> None:
    one = judged(**SAMPLES, at_most=20)
    assert one.measured == pytest.approx(16.0, rel=0.02)
    assert one.se is None
    low, high = one.interval or (0, 0)
    assert (low, high) == (pytest.approx(16 * 0.9, rel=0.02), pytest.approx(16 * 1.1, rel=0.02))
    assert (one.verdict, one.close, one.cells_used) == ("holds", False, 6)
    assert f"{one.measured:.4g} [{low:.4g}, {high:.4g}]  <= 20" in "\n".join(claims_text([one]))
    close = judged(**SAMPLES, at_most=15)
    assert (close.verdict, close.close) == ("fails", True)


def test_a_falling_metric_reaches_its_level_from_above() -> None:
    rows = [
        r.model_copy(update={"measures": {"recall": 1 - (number(r, "recall") or 0)}})
        for r in table(spec_of(**SAMPLES, at_most=1))
    ]
    assert judged(rows, **SAMPLES, falling=True, at_most=20).measured == pytest.approx(16.0, rel=0.02)
    assert judged(rows, **SAMPLES, at_most=20).measured == math.inf


@pytest.mark.parametrize("exponent", [0.3, 1.0])
def test_a_slope_is_that_of_the_law(exponent: float) -> None:
    one = judged(**LAW, law=(exponent, 3.0), at_most=0.5)
    assert one.measured == pytest.approx(exponent, abs=0.05)
    assert one.verdict == ("holds" if exponent < 0.5 else "fails")
    assert one.cells_used == one.cells == 18
    assert one.reason == ""


@pytest.mark.parametrize(
    ("factor", "bound", "verdict"),
    [
        (100.0, {"at_most": 100.0}, "fails"),
        (100.0, {"at_most": 200.0}, "incomplete"),
        (100.0, {"at_least": 100.0}, "holds"),
        (100.0, {"at_least": 200.0}, "incomplete"),
        (0.1, {"at_most": 5.0}, "holds"),
        (0.1, {"at_most": 3.0}, "incomplete"),
        (0.1, {"at_least": 5.0}, "fails"),
        (0.1, {"at_least": 3.0}, "incomplete"),
    ],
)
def test_a_threshold_outside_of_the_grid_decides_what_it_can(
    factor: float, bound: dict[str, float], verdict: str
) -> None:
    one = judged(law=(1.0, factor), **SAMPLES, **bound)
    assert one.verdict == verdict
    assert one.measured == (math.inf if factor > 1 else 4.0)
    where = "above the largest n at d = 8 (128)" if factor > 1 else "the least n or below at d = 8 (4)"
    assert one.reason == f"n* is {where}"


def test_a_slope_names_the_d_it_lacks_and_never_holds_without_them() -> None:
    one = judged(**LAW, law=(1.0, 9.0), at_most=2)
    assert one.measured == pytest.approx(1.0, abs=0.05), "over d = 4 and 8"
    assert one.verdict == "incomplete"
    assert one.reason == "n* is above the largest n at d = 16 (128)"
    held = judged(**{**LAW, "where": "panel=a,d<=8"}, law=(1.0, 9.0), at_most=2)
    assert held.verdict == "holds"


def test_runs_that_went_wrong_speak_against_the_claim() -> None:
    spec = spec_of(**SAMPLES, at_most=20)
    rows = [r.model_copy(update={"status": "diverged", "value": None}) if r.n == 32 else r for r in table(spec)]
    assert judged(rows, **SAMPLES, at_most=20).measured == 64.0
    assert judged(rows, **SAMPLES, at_least=20).measured == pytest.approx(16.0, rel=0.02)
    assert "2 rows of iht_linear diverged or failed" in judged(rows, **SAMPLES, at_least=20).reason


def test_missing_rows_make_a_threshold_incomplete() -> None:
    rows = [row for row in table(spec_of(**SAMPLES, at_most=20)) if row.n != 16]
    one = judged(rows, **SAMPLES, at_most=20)
    assert (one.verdict, one.cells_used, one.cells) == ("incomplete", 5, 6)


def test_panels_that_fix_d_are_points_of_a_slope() -> None:
    """As where s grows with d, so that each d is a panel of its own."""
    spec = spec_of(**LAW, at_most=2)
    (panel,) = spec.panels
    panels = [panel.model_copy(update={"name": f"d{d}", "d": None}) for d in D]
    claims = [spec.claims[0].model_copy(update={"where": "panel=d4|d8|d16"})]
    split = spec.model_copy(update={"panels": panels, "claims": claims})
    rows = [row.model_copy(update={"panel": f"d{row.d}"}) for row in table(spec)]
    (one,) = check_claims(expand(split), rows)
    whole = judged(**LAW, at_most=2)
    assert one.measured == pytest.approx(whole.measured)
    assert one.interval == pytest.approx(whole.interval)
    assert np.isclose(one.measured or 0, 1.0, atol=0.05)
