"""The metric against what it costs: points, bars, axes and what they leave out, against the rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import dist
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.lines import COLOURS, style
from mlpiht_cli.figures.rules import kind_faults
from mlpiht_cli.figures.swarm import sideways
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.figures.tradeoff import MARKER
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.figure import FigureSpec, View
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.schema import Spec
from tests.hand import SPEC

Values = dict[tuple[str, int], list[tuple[float | None, float | None]]]
"""Passes and PSNR of each seed, by method and budget; no PSNR for a run that diverged."""
VALUES: Values = {
    ("iht", 4): [(10, 20), (30, 40), (20, 25)],
    ("imp", 4): [(100, 10), (200, None), (400, 30)],
    ("zero", 4): [(None, 1)] * 3,
    ("iht", 8): [(1, 140), (1, 150), (1, 160)],
    ("imp", 8): [(100, 10), (200, 20), (400, 30)],
    ("zero", 8): [(5, 1)] * 3,
}


def row(method: str, s: int, seed: int, passes: float | None, psnr: float | None) -> Row:
    base: dict[str, Any] = {"cell": "c", "task": "planted", "depth": 1, "m": 3, "params": {}, "metric": "psnr"}
    ended = {"status": "diverged"} if psnr is None else {"status": "ok", "value": psnr, "psnr": psnr}
    measures = {} if passes is None else {"passes": passes}
    more = {"method": method, "s": s, "seed": seed, "wall_s": 2.0 + seed, "measures": measures}
    return Row.model_validate({**base, **ended, **more})


def table(values: Values = VALUES, **changes: Any) -> FigureTable:
    rows = {RowKey("p", method, 3, s, i): row(method, s, i, *pair) for (method, s), seeds in values.items() for i, pair in enumerate(seeds)}  # fmt: skip  # noqa: E501
    methods, budgets = list(dict.fromkeys(m for m, _ in values)), sorted({s for _, s in values})
    panel = PanelTable("p", "a panel", methods, [3], budgets, [0, 1, 2], "psnr", (-20.0, 50.0), rows)
    spec = FigureSpec.model_validate({"label": "x", "kind": "tradeoff", "against_score": "passes", **changes})
    return FigureTable("t", "T", spec, "mean over 3 seeds", [panel])


def points(axes: Axes) -> dict[str, tuple[float, float]]:
    return {str(line.get_label()): tuple(np.array(line.get_xydata()).ravel()) for line in axes.lines}


def test_a_point_is_the_median_of_both_and_bars_are_the_range() -> None:
    one, two = FIGURES["tradeoff"](table(), Look()).axes
    assert (one.get_title(), two.get_title()) == ("s = 4", "s = 8")
    assert points(one)["iht"] == (median([10, 30, 20]), median([20, 40, 25]))
    assert points(two) == {"iht": (1, 150), "imp": (200, 20), "zero": (5, 1)}
    bars = [part.get_segments()[0].tolist() for part in one.collections if isinstance(part, LineCollection)]
    assert [[10, 25], [30, 25]] in bars
    assert [[20, 20], [20, 40]] in bars
    assert (one.get_xlabel(), one.get_ylabel()) == ("passes over the data", "PSNR (dB)")
    assert one.get_xscale() == two.get_xscale() == "log"
    assert one.get_ylim() == (-20.0, 50.0)
    assert two.get_ylim()[1] > 150, "a point outside of the limits of the colours is seen"


def test_points_at_a_limit_are_whole() -> None:
    at: Values = {("iht", 4): [(10, 50)] * 3, ("imp", 4): [(99, 20)] * 3}
    (axes,) = FIGURES["tradeoff"](table(at), Look()).axes
    low, high = axes.get_ylim()
    assert (low, 51 < high < 53) == (-20, True), "no point is at the lower limit"
    (axes,) = FIGURES["tradeoff"](table({("iht", 4): [(10, -20)] * 3}, limits=[-20, 50]), Look()).axes
    assert axes.get_ylim() == (pytest.approx(-22.1), 50), "given limits have room as well"


def test_a_method_has_one_look_in_all_figures_of_a_spec() -> None:
    alone = table({("imp", 4): VALUES["imp", 4]})
    for every, number in (((), 0), (("iht", "other", "imp"), 2), (("iht",), 0)):
        (axes,) = FIGURES["tradeoff"](replace(alone, every=every), Look()).axes
        assert axes.lines[0].get_color() == COLOURS[number]
    many = (*map(str, range(len(COLOURS))), "imp")
    (axes,) = FIGURES["tradeoff"](replace(alone, every=many), Look()).axes
    assert axes.lines[0].get_color() == COLOURS[0], "of too many methods the figure's own count"


def test_points_that_lack_a_seed_are_hollow_and_absent_ones_are_named() -> None:
    figure = FIGURES["tradeoff"](table(), Look())
    one = figure.axes[0]
    faces = {str(line.get_label()): line.get_markerfacecolor() for line in one.lines}
    assert faces == {"iht": COLOURS[0], "imp": "white"}
    assert points(one)["imp"] == (250, 20), "of the two seeds that ended well"
    assert [text.get_text() for text in one.texts] == ["without a point: zero"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["iht", "imp", "zero", "lacks a seed"]
    assert len(figure.axes[1].texts) == 0
    values = {place: seeds for place, seeds in VALUES.items() if place[1] == 8}
    whole = FIGURES["tradeoff"](table(values), Look(paper=True))
    assert [text.get_text() for text in whole.legends[0].get_texts()] == ["iht", "imp", "zero"]


def test_a_missing_row_leaves_the_point_hollow() -> None:
    whole = table()
    del whole.panels[0].rows[RowKey("p", "iht", 3, 8, 1)]
    two = FIGURES["tradeoff"](whole, Look()).axes[1]
    assert points(two)["iht"] == (1, 150)
    assert two.lines[0].get_markerfacecolor() == "white"


def test_columns_and_values_of_nothing_have_an_axis() -> None:
    axes = FIGURES["tradeoff"](table(against_score="wall_s"), Look()).axes[0]
    assert points(axes)["iht"] == (3.0, 25)
    assert axes.get_xlabel() == "wall time (s)"
    free: Values = {("iht", 4): [(0, 1)] * 3, ("imp", 4): [(50, 2)] * 3}
    (axes,) = FIGURES["tradeoff"](table(free), Look()).axes
    assert axes.get_xscale() == "symlog"
    assert points(axes)["iht"] == (0, 1)
    with pytest.raises(InputError, match="against_score is missing"):
        FIGURES["tradeoff"](table(against_score=None), Look())


def test_many_methods_have_looks_of_their_own() -> None:
    """Seventeen colours before one comes again, then with another marker."""
    assert len({style(i)["color"] for i in range(17)}) == 17
    assert len({(style(i)["color"], style(i)["marker"]) for i in range(40)}) == 40
    names = [f"method {i}" for i in range(15)]
    figure = FIGURES["tradeoff"](table({(name, 4): [(i + 1.0, 5.0 * i)] * 3 for i, name in enumerate(names)}), Look())
    figure.draw_without_rendering()
    legend, (axes,) = figure.legends[0], figure.axes
    assert [text.get_text() for text in legend.get_texts()] == names
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert not legend.get_window_extent().overlaps(figure.texts[0].get_window_extent()), "nor the title"


def test_pictures_are_older_than_rows_with_other_costs() -> None:
    changed = {**VALUES, ("iht", 8): [(2.0, 140.0), (1, 150), (1, 160)]}
    assert table().fingerprint != table(changed).fingerprint
    assert table(against_score=None).fingerprint == table(changed, against_score=None).fingerprint


def faults(figure: dict[str, Any], **panel: Any) -> list[tuple[Any, str]]:
    data = parse(SPEC, Path("hand.yaml")).data
    panels = [{**data["panels"][0], **panel}]
    spec = Spec.model_validate({**data, "panels": panels, "figure": {"label": "F", **figure}})
    return [(fault.location, fault.message) for fault in kind_faults(Draft(spec))]


def test_specs_name_the_score_and_few_places() -> None:
    good = {"kind": "tradeoff", "against_score": "passes"}
    assert faults(good) == []
    message = "tradeoff needs the score that the metric is drawn against, such as passes"
    assert faults({"kind": "tradeoff"}) == [(("figure", "against_score"), message)]
    ((place, told),) = faults(good, m=[2, 3, 4, 5, 6], s=[1, 2, 3, 4, 5])
    assert (place, told) == (
        ("figure", "kind"), "tradeoff has axes for each place, 24 at most; these panels have 25",
    )  # fmt: skip
    assert FigureSpec.model_validate({"label": "F", **good}).of(View(name="v")).against_score == "passes"
    other = FigureSpec.model_validate({"label": "F", **good}).of(View(name="v", against_score="wall_s"))
    assert other.against_score == "wall_s"


def test_points_that_would_hide_each_other_stand_side_by_side_and_others_where_they_are() -> None:
    level: Values = {(name, 4): [(100, 20)] * 3 for name in ("iht", "imp", "snip", "set")} | {
        ("rigl", 4): [(10, 20)] * 3
    }
    figure = FIGURES["tradeoff"](table(level), Look())
    assert figure.get_suptitle().endswith("stand side by side")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    drawn = {line.get_label(): line.get_transform().transform(line.get_xydata())[0] for line in axes.lines}
    *crowd, _ = (x for x, _ in drawn.values())
    assert np.diff(sorted(crowd)).min() >= 0.99 * MARKER * figure.dpi / 72, "a marker apart"
    assert drawn["rigl"] == pytest.approx(axes.transData.transform((10, 20)))
    assert drawn["iht"] == pytest.approx(axes.transData.transform((100, 20))), "the first stays"
    assert "side by side" not in FIGURES["tradeoff"](table(), Look()).get_suptitle()


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), max_size=25), st.floats(0.5, 12))
def test_no_two_moved_points_are_closer_than_their_size(places: list[tuple[float, float]], size: float) -> None:
    moves = sideways(places, size)
    ends = [(x + move, y) for (x, y), move in zip(places, moves, strict=True)]
    assert all(dist(one, other) >= size * (1 - 1e-6) for one, other in combinations(ends, 2))
    lowest = min(range(len(places)), key=lambda i: places[i][1], default=None)
    assert lowest is None or moves[lowest] == 0
