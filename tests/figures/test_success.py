"""Shares of seeds that succeed, and their intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.scaling import wilson
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import FigureSpec


def row(n: int, seed: int, psnr: float | None) -> Row:
    base = {"cell": "c", "task": "planted", "method": "iht", "depth": 1, "m": 3, "s": 4, "params": {}, "metric": "psnr"}
    status = "ok" if psnr is not None else "diverged"
    return Row.model_validate({**base, "n": n, "d": 100, "seed": seed, "value": psnr, "psnr": psnr, "status": status})


def table(scores: dict[int, list[float | None]], **changes: object) -> FigureTable:
    rows = {
        RowKey("a", "iht", 3, 4, seed, n, None): row(n, seed, value)
        for n, values in scores.items()
        for seed, value in enumerate(values)
    }
    spec = FigureSpec.model_validate({"label": "x", "kind": "success", "level": 100.0, **changes})
    panel = PanelTable("a", "A", ["iht"], [3], [4], [0, 1, 2, 3], "psnr", None, rows, n=[*scores])
    return FigureTable("t", "T", spec, "mean over 4 seeds", [panel])


def test_shares_are_those_of_the_seeds_that_reach_the_level() -> None:
    found = table({64: [20.0, 30.0, None, 40.0], 128: [99.9, 100.0, 160.0, None], 256: [100.0, 120.0, 130.0, 170.0]})
    (axes,) = FIGURES["success"](found, Look()).axes
    (line,) = axes.lines
    unit = 4 * math.log(100)
    assert list(line.get_xdata()) == pytest.approx([64 / unit, 128 / unit, 256 / unit])
    assert list(line.get_ydata()) == [0.0, 0.5, 1.0], "a run that diverged did not succeed"
    (band,) = [one for one in axes.collections if isinstance(one, PolyCollection)]
    assert band.get_paths()[0].vertices[:, 1].min() == pytest.approx(wilson(0, 4)[0])


def test_places_without_all_seeds_are_left_out() -> None:
    found = table({64: [20.0, 30.0, 40.0], 128: [100.0] * 4})
    (line,) = FIGURES["success"](found, Look(paper=True)).axes[0].lines
    assert list(line.get_ydata()) == [1.0]
    assert not FIGURES["success"](table({64: [20.0]}), Look()).axes[0].lines


def test_errors_fall() -> None:
    found = table({64: [1.0, 0.1, 0.2, 3.0]}, level=0.15, falling=True)
    assert list(FIGURES["success"](found, Look()).axes[0].lines[0].get_ydata()) == [0.25]


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(InputError, match=r"figure\.level is missing"):
        FIGURES["success"](table({64: [1.0]}, level=None), Look())
    whole = table({64: [1.0]})
    fixed = FigureTable(**{**vars(whole), "panels": [PanelTable("a", "A", ["iht"], [3], [4], [0], "psnr", None, {})]})
    with pytest.raises(InputError, match="does not vary n"):
        FIGURES["success"](fixed, Look())


@given(st.integers(1, 200), st.integers(0, 200))
def test_wilson_bounds_solve_the_score_equation(total: int, hits: int) -> None:
    """Each end p is where ``|share - p|`` is 1.96 standard errors at p, unless it is cut at 0 or 1."""
    hits = min(hits, total)
    share = hits / total
    for p in wilson(hits, total):
        assert 0.0 <= p <= 1.0
        if 0.0 < p < 1.0:
            assert abs(share - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / total), rel=1e-5, abs=1e-9)
    low, high = wilson(hits, total)
    assert low <= share <= high
    assert wilson(0, 0) == (0.0, 1.0)
