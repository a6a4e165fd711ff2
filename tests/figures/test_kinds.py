"""Spread, difference, curve and table: what they show, against the rows they are made from."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import Normalize

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look, save_kind
from mlpiht_cli.figures.pictures import Shot, images, weights
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.figures.text import comma_separated, markdown
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import FigureSpec, View

VALUES = {("iht", 3): [10.0, 30.0, 35.0], ("imp", 3): [5.0, 6.0, 10.0], ("iht", 4): [120.0, 20.0, np.inf]}


def made(method: str, s: int, seed: int, value: float) -> Row:
    base = {"cell": "c", "task": "t", "depth": 1, "params": {}, "panel": "p", "metric": "psnr", "status": "ok", "m": 1}
    settled = {"iterations": 100, "settled": 10 * (seed + 1) if seed else 100, "exact": value >= 100}
    return Row.model_validate(
        {**base, **settled, "method": method, "s": s, "seed": seed, "psnr": value, "value": value}
    )


@pytest.fixture
def data() -> FigureTable:
    """Two methods, m = 1, s = 3 and 4, three seeds; (imp, 4) has no rows."""
    rows = [made(*place, seed, value) for place, values in VALUES.items() for seed, value in enumerate(values)]
    by_place = {RowKey("p", r.method, r.m, r.s, r.seed): r for r in rows}
    panel = PanelTable("p", "a panel", ["iht", "imp"], [1], [3, 4], [0, 1, 2], "psnr", (-20.0, 50.0), by_place)
    return FigureTable("fig", "Title", FigureSpec(label="Figure 1"), "note", [panel])


def shown(data: FigureTable, kind: str) -> dict[str, tuple[np.ndarray, Normalize]]:
    axes = [one for one in FIGURES[kind](data, Look(annotate=True)).axes if one.images]
    return {one.get_title(): (np.asarray(one.images[0].get_array()), one.images[0].norm) for one in axes}


def test_the_spread_stands_above_the_mean(data: FigureTable) -> None:
    maps = shown(data, "std")
    assert list(maps) == ["std, IHT: a panel", "std, IMP: a panel", "IHT: a panel", "IMP: a panel"]
    spread = maps["std, IHT: a panel"][0]
    np.testing.assert_allclose(spread[0], [np.std([10, 30, 35]), np.std([120, 20, 170])])
    norm = maps["std, IHT: a panel"][1]
    assert norm(norm.vmax / 4) == pytest.approx(0.5), "a square root, or small spreads look like none"
    assert maps["IHT: a panel"][1].vmax == 50.0


def test_the_difference_is_centred_at_zero(data: FigureTable) -> None:
    values, norm = shown(data, "difference")["IHT minus IMP: a panel"]
    assert values[0, 0] == pytest.approx(25.0 - 7.0)
    assert norm.vmin == -norm.vmax == -35.0
    assert np.ma.is_masked(values[0, 1]) or np.isnan(values[0, 1]), "no number where one method has none"
    alone = [PanelTable(**{**vars(data.panels[0]), "methods": ["iht"]})]
    with pytest.raises(InputError, match="needs two methods"):
        FIGURES["difference"](FigureTable(**{**vars(data), "panels": alone}), Look())


def test_means_of_some_seeds_are_compared_on_the_seeds_of_both(data: FigureTable) -> None:
    panel = data.panels[0]
    lost = {("imp", 3, 2), ("iht", 3, 0)}
    rows = {place: row for place, row in panel.rows.items() if (place.label, place.s, place.seed) not in lost}
    rows |= {RowKey("p", "imp", 1, 4, 1): made("imp", 4, 1, 12.0)}
    lacking = replace(data, panels=[replace(panel, rows=rows)])
    one, two = FIGURES["difference"](lacking, Look(partial=True)).axes[0].images[0].get_array()[0]
    assert (one, two) == (pytest.approx(30 - 6), pytest.approx(20 - 12))
    full = FIGURES["difference"](lacking, Look()).axes[0].images[0].get_array()
    assert np.isnan(np.ma.filled(full, np.nan)).all()
    yardstick = {"iht": [0, 1, 2], "imp": [1]}  # a rival that draws no numbers has one seed, which all are held against
    against = replace(data, panels=[replace(panel, own_seeds=yardstick)])
    assert FIGURES["difference"](against, Look()).axes[0].images[0].get_array()[0, 0] == pytest.approx(25 - 6)


def test_one_seed_has_no_spread(data: FigureTable) -> None:
    panel = data.panels[0]
    rows = {place: row for place, row in panel.rows.items() if (place.label, place.s, place.seed) < ("iht", 4, 1)}
    figure = FIGURES["std"](replace(data, panels=[replace(panel, rows=rows)]), Look(partial=True))
    spread = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    assert np.isnan(spread).tolist() == [[False, True]]
    assert "one seed, no spread" in [text.get_text() for legend in figure.legends for text in legend.texts]


def test_a_support_that_moves_to_the_end_has_no_settling_step(data: FigureTable) -> None:
    panel = replace(data.panels[0], metric="settled")
    first = next(csv.DictReader(io.StringIO(comma_separated(replace(data, panels=[panel])))))
    assert [first[name] for name in ("median", "mean", "std", "min", "max")] == ["30.0", "", "", "20.0", ">= 100"]


def test_differences_are_from_the_method_that_is_named(data: FigureTable) -> None:
    named = FigureTable(**{**vars(data), "spec": FigureSpec(label="Figure 1", against="iht")})
    maps = shown(named, "difference")
    assert list(maps) == ["IMP minus IHT: a panel"]
    assert maps["IMP minus IHT: a panel"][0][0, 0] == pytest.approx(7.0 - 25.0)


def test_a_curve_shows_the_median_and_the_range(data: FigureTable) -> None:
    axes = FIGURES["curve"](data, Look()).axes[0]
    lines = {str(line.get_label()): line for line in axes.lines}
    assert lines["iht"].get_xydata().tolist() == [[3.0, 30.0], [4.0, 120.0]]
    assert lines["imp"].get_xydata().tolist() == [[3.0, 6.0]]
    low, high = axes.collections[0].get_paths()[0].get_extents().intervaly
    assert (low, high) == (10.0, 170.0)


def test_tables_count_what_they_are_made_from(data: FigureTable, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(data))))
    first = rows[0]
    assert (first["method"], first["median"], first["mean"], first["min"], first["max"]) == (
        "iht", "30.0", "25.0", "10.0", "35.0",
    )  # fmt: skip
    assert (first["exact"], first["settled"], first["without"]) == ("0/3", "25 (2/3)", "0"), "one seed never settled"
    assert (rows[1]["exact"], rows[1]["max"]) == ("2/3", "170.0")
    assert (rows[3]["method"], rows[3]["seeds"], rows[3]["median"], rows[3]["without"]) == ("imp", "0", "", "3")
    text = markdown(data)
    assert text.splitlines()[0] == "**Figure 1: Title** (PSNR (dB); note)"
    assert len({line.count("|") for line in text.splitlines()[2:]}) == 1
    paths = save_kind("table", data, Look(), tmp_path / "fig", ["png"])
    assert [path.name for path in paths] == ["fig-table.md", "fig-table.csv"]


def test_pictures_are_cut_to_their_scale() -> None:
    target = Shot("target", np.array([[0.0, 1.0], [0.5, 0.2]]))
    figure = images("t", target, [[Shot("a", target.values * 3)], [Shot("b", target.values), Shot("c", target.values)]])
    drawn = [one for one in figure.axes if one.images]
    assert [one.get_title() for one in drawn] == ["target", "a", "target", "b", "c"]
    assert float(np.asarray(drawn[1].images[0].get_array()).max()) == 1.0
    planted = weights("t", Shot("planted", np.array([[2.0, 0.0]])), [[Shot("found", np.array([[0.0, -9.0]]))]])
    assert {one.images[0].get_clim() for one in planted.axes if one.images} == {(-2.0, 2.0)}


def test_a_view_may_subtract_a_method_of_its_own() -> None:
    figure = FigureSpec(label="F", kind="difference", against="imp")
    assert figure.of(View(name="own", against="zero")).against == "zero"
    assert figure.of(View(name="inherited")).against == "imp"


def crowd(count: int, values: Callable[[int], float], **changes: Any) -> FigureTable:
    names = [f"method {i}" for i in range(count)]
    rows = {
        RowKey("p", name, 1, s, seed): made("iht", s, seed, values(i) + seed)
        for i, name in enumerate(names)
        for s in (3, 4)
        for seed in range(3)
    }
    panel = PanelTable("p", "a panel", names, [1], [3, 4], [0, 1, 2], "psnr", (-20.0, 50.0), rows)
    return FigureTable("fig", "Title", FigureSpec(label="Figure 1", kind="curve", **changes), "note", [panel])


def test_curves_of_many_methods_have_a_legend_outside_and_pale_bands() -> None:
    few, many = (FIGURES["curve"](crowd(count, float), Look()) for count in (6, 15))
    many.draw_without_rendering()
    (axes,) = many.axes
    (legend,) = many.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"method {i}" for i in range(15)]
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert not legend.get_window_extent().overlaps(many.texts[0].get_window_extent()), "nor the title"
    assert legend.get_window_extent().y1 <= many.bbox.y1
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == 15
    assert len({line.get_color() for line in axes.lines}) == 15
    assert few.legends == []
    assert few.axes[0].get_legend() is not None
    faint, plain = (figure.axes[0].collections[0].get_alpha() for figure in (many, few))
    assert faint < plain
    assert len(axes.collections) == 15, "all have their bands"


def test_limits_of_the_metric_widen_to_hold_a_line_and_those_of_a_spec_do_not() -> None:
    """Exact fits stand at 140 dB, and the colours of PSNR end at 50."""
    exact = crowd(3, lambda i: 140.0 if i == 1 else 20.0)
    low, high = FIGURES["curve"](exact, Look()).axes[0].get_ylim()
    assert low == -20.0
    assert 141 < high < 150
    assert FIGURES["curve"](crowd(3, lambda i: 20.0), Look()).axes[0].get_ylim() == (-20.0, 50.0)
    asked = crowd(3, lambda i: 140.0 if i == 1 else 20.0, limits=(-20.0, 50.0))
    assert FIGURES["curve"](asked, Look()).axes[0].get_ylim() == (-20.0, 50.0)
