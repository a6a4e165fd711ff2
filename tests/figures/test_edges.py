"""What figures do at the edges of their scales: limits that fit, numbers on pale maps, chance, arrows, ticks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.lines import power_ticks
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import FigureSpec

Values = dict[tuple[str, int], float]


def table(metric: str, values: Values, limits: tuple[float, float] | None, k: int = 1, **changes: Any) -> FigureTable:
    """One width, one seed; values by method and budget."""
    base = {"cell": "c", "task": "t", "depth": 1, "params": {}, "metric": metric, "m": 3, "seed": 0, "k": k}
    own = {metric} & {"psnr", "accuracy"}
    rows = {
        RowKey("p", method, 3, s, 0): Row.model_validate(
            {**base, "method": method, "s": s, "status": "ok", "value": value, **dict.fromkeys(own, value)}
        )
        for (method, s), value in values.items()
    }
    methods, budgets = list(dict.fromkeys(m for m, _ in values)), sorted({s for _, s in values})
    panel = PanelTable("p", "a panel", methods, [3], budgets, [0], metric, limits, rows)
    spec = FigureSpec.model_validate({"label": "x", "metric": metric, "limits": limits, **changes})
    return FigureTable("t", "T", spec, "mean over a seed", [panel])


def test_fitted_limits_are_the_least_mean_and_the_largest_but_exact_ones_and_a_tenth() -> None:
    values = {("iht", s): float(x) for s, x in enumerate([12, 150, *range(20, 60)])}
    short = sorted(x for x in values.values() if x < 100)
    axes = FIGURES["fitted"](table("psnr", values, (-20.0, 50.0)), Look()).axes[0]
    low, high = axes.images[0].get_clim()
    assert low == 12
    assert sum(x > high for x in short) == 4, "of 41 that are not exact"
    assert FIGURES["heatmap"](table("psnr", values, (-20.0, 50.0)), Look()).axes[0].images[0].get_clim() == (-20, 50)
    alike = FIGURES["fitted"](table("psnr", {("iht", 1): 150.0, ("iht", 2): 160.0}, (-20.0, 50.0)), Look())
    assert alike.axes[0].images[0].get_clim() == (-20, 50), "all are exact"


def numbers(figure: Figure) -> list[list[str]]:
    return [[text.get_text() for text in axes.texts] for axes in figure.axes if axes.images]


def test_numbers_stand_on_a_map_of_differences_that_is_nearly_blank() -> None:
    near: Values = {("iht", 1): 20.2, ("iht", 2): 19.96, ("imp", 1): 20.0, ("imp", 2): 20.0}
    assert numbers(FIGURES["difference"](table("psnr", near, (-20.0, 50.0)), Look())) == [["0.2", "0.0"]]
    far = near | {("iht", 1): 40.0}
    assert numbers(FIGURES["difference"](table("psnr", far, (-20.0, 50.0)), Look())) == [[]]
    assert numbers(FIGURES["heatmap"](table("psnr", near, (-20.0, 50.0)), Look())) == [[], []]


@pytest.mark.parametrize(("k", "chance"), [(1, 0.5), (10, 0.1)])
def test_scales_of_right_classes_say_what_guessing_gives(k: int, chance: float) -> None:
    values: Values = {("iht", 1): 0.9, ("iht", 2): 0.95}
    data = table("accuracy", values, (0.0, 1.0), k, kind="curve")
    bar = FIGURES["heatmap"](data, Look()).axes[1]
    assert bar.get_ylabel() == f"test accuracy (chance {chance})"
    (line,) = [one for one in FIGURES["curve"](data, Look()).axes[0].lines if one.get_label() == "chance"]
    assert set(line.get_ydata()) == {chance}
    above = FIGURES["curve"](table("accuracy", values, (0.8, 1.0), k, kind="curve"), Look()).axes[0]
    assert "chance" not in [one.get_label() for one in above.lines]
    assert table("psnr", values, None, k).panels[0].label == "PSNR (dB)"


def arrows(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(point) for one in axes.collections if isinstance(one, PathCollection) for point in one.get_offsets()]


def test_points_beyond_the_limits_are_arrows_at_the_edge() -> None:
    values: Values = {("iht", 1): -30.0, ("iht", 2): 20.0, ("iht", 4): 150.0}
    axes = FIGURES["curve"](table("psnr", values, (-20.0, 50.0), kind="curve"), Look()).axes[0]
    assert arrows(axes) == [(1, -20), (4, 50)]
    assert [*axes.lines[0].get_ydata()] == [-30, 20, 150], "the line goes where it goes"


def test_zero_on_a_logarithmic_scale_is_at_the_lower_edge() -> None:
    values: Values = {("iht", 1): 0.0, ("iht", 2): 1e-6, ("iht", 4): 1.0}
    data = table("relative_error", values, (1e-9, 2.0), kind="curve", scale="log")
    axes = FIGURES["curve"](data, Look()).axes[0]
    assert arrows(axes) == [(1, 1e-9)]
    assert [*axes.lines[0].get_ydata()] == [1e-9, 1e-6, 1.0]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([2.17, 139], [4, 8, 16, 32, 64, 128]), ([0.87, 1, 7.9], [1, 2, 4]), ([4.0, 8.0], [4, 8]), ([7, 5], [5, 7])],
)
def test_power_ticks_are_the_powers_of_two_among_the_values(values: list[float], ticks: list[int]) -> None:
    axes = Figure().subplots()
    power_ticks(axes, values)
    np.testing.assert_allclose(axes.get_xticks(), ticks)
    assert [one.get_text() for one in axes.get_xticklabels()] == [str(tick) for tick in ticks]
