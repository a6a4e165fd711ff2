"""Shares of seeds that succeed, and their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.scaling import wilson
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.lines import even_ticks
from mlpiht_cli.figures.rules import kind_faults
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.figure import FigureSpec
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.schema import Spec
from tests.hand import TINY


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


def over_decoys(hits: Mapping[str, Mapping[int | None, int]], s: tuple[int, ...] = (4,), seeds: int = 5) -> FigureTable:
    """Seeds below the number of hits are exact; ``None`` decoys: a method without the setting."""
    rows, labels = {}, []
    for name, by_decoys in hits.items():
        for decoys, count in by_decoys.items():
            labels.append(label := name if decoys is None else f"{name} @ {decoys}")
            for budget in s:
                for seed in range(seeds):
                    settings = {} if decoys is None else {"decoys": decoys}
                    one = row(100, seed, 1.0).model_copy(update={"exact": seed < count, "params": {"method": settings}})
                    rows[RowKey("a", label, 3, budget, seed)] = one
    spec = FigureSpec(label="x", kind="success", setting="decoys", metric="exact", level=1)
    panel = PanelTable("a", "A", labels, [3], list(s), [*range(seeds)], "exact", None, rows)
    return FigureTable("t", "T", spec, f"mean over {seeds} seeds", [panel])


HITS = {"exact step": {0: 5, 5: 5, 45: 4, 95: 4}, "theorem's": {0: 5, 5: 5, 45: 4, 95: 0}, "known": {None: 3}}


def test_shares_over_a_setting_are_those_of_the_seeds_at_each_point() -> None:
    (axes,) = FIGURES["success"](over_decoys(HITS), Look()).axes
    drawn = {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    for name in ("exact step", "theorem's"):
        assert drawn[name] == [[decoys, count / 5] for decoys, count in HITS[name].items()]
    assert [y for _, y in drawn["known"]] == [0.6, 0.6], "a method without the setting is a line across"
    low = min(float(band.get_paths()[0].vertices[:, 1].min()) for band in axes.collections)
    assert low == pytest.approx(wilson(0, 5)[0])
    assert (axes.get_xlabel(), axes.get_xscale()) == ("decoys", "symlog"), "0 has a place on the axis"
    assert axes.get_ylabel() == "share of seeds with exact recovery"


def test_a_setting_has_a_line_for_each_budget() -> None:
    (axes,) = FIGURES["success"](over_decoys({"iht": {5: 5, 45: 4}}, s=(4, 8)), Look()).axes
    assert [str(line.get_label()) for line in axes.lines] == ["s = 4", "s = 8"]


def test_points_with_missing_or_skipped_seeds_are_left_out() -> None:
    whole = over_decoys({"iht": {5: 5, 45: 4, 95: 3}})
    rows = dict(whole.panels[0].rows)
    del rows[RowKey("a", "iht @ 5", 3, 4, 0)]
    skipped = RowKey("a", "iht @ 45", 3, 4, 0)
    rows[skipped] = rows[skipped].model_copy(update={"status": "skipped"})
    lacking = FigureTable(**{**vars(whole), "panels": [PanelTable(**{**vars(whole.panels[0]), "rows": rows})]})
    (line,) = FIGURES["success"](lacking, Look()).axes[0].lines
    assert np.asarray(line.get_xydata()).tolist() == [[95, 0.6]]


def test_a_point_without_the_setting_is_told() -> None:
    data = over_decoys({"iht": {5: 5}})
    other = FigureTable(**{**vars(data), "spec": data.spec.model_copy(update={"setting": "decoy"})})
    with pytest.raises(InputError, match="method 'iht @ 5' has no setting 'decoy' that is a number"):
        FIGURES["success"](other, Look())


def test_a_spec_of_success_varies_n_or_names_a_setting() -> None:
    def faults(**figure: Any) -> list[str]:
        data = {
            **parse(TINY, Path("tiny.yaml")).data,
            "figure": {"label": "F", "kind": "success", "level": 1, **figure},
        }
        return [fault.message for fault in kind_faults(Draft(Spec.model_validate(data)))]

    assert faults(setting="decoys") == []
    assert faults() == ["success needs panels that vary n; 'a' does not"]
    assert faults(setting="decoys", level=None) == ["success needs the level of the metric that a seed has to reach"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.125, 0.25, 0.375, 0.5], "linear"),
        ([1, 2, 4], "log"),
        ([5, 10, 20, 50, 100], "log"),
        ([0, 5, 10, 20, 50, 100], "symlog"),
        ([0, 1, 2, 3, 4], "linear"),
        ([-1, 10, 100], "linear"),
        ([7], "log"),
        ([0], "linear"),
    ],
)
def test_an_axis_has_the_scale_on_which_its_values_are_even(values: list[float], scale: str) -> None:
    axes = Figure().subplots()
    even_ticks(axes, values)
    assert axes.get_xscale() == scale
    assert sorted(axes.get_xticks().tolist()) == values


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
