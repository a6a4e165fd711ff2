"""Bars of the seeds that succeed, against the rows they are made from."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.scaling import wilson
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import FigureSpec

HITS = {"Gaussian": {"iht": 11, "known": 20}, "AR(.9)": {"iht": 0, "known": 1}}
SEEDS = 20


def row(psnr: float, status: str = "ok") -> Row:
    base = {"cell": "c", "task": "planted", "method": "iht", "depth": 1, "m": 3, "s": 4, "params": {}, "seed": 0}
    return Row.model_validate({**base, "metric": "psnr", "value": psnr, "psnr": psnr, "status": status})


def table(hits: dict[str, dict[str, int]], budgets: tuple[int, ...] = (4,), **changes: object) -> FigureTable:
    panels = []
    for name, by_method in hits.items():
        rows = {
            RowKey(name, method, 3, s, seed): row(140.0 if seed < count else 20.0)
            for method, count in by_method.items()
            for s in budgets
            for seed in range(SEEDS)
        }
        panels.append(PanelTable(name, name, [*by_method], [3], [*budgets], [*range(SEEDS)], "psnr", None, rows))
    spec = FigureSpec.model_validate({"label": "x", "kind": "shares", "level": 100.0, **changes})
    return FigureTable("t", "T", spec, "mean over 20 seeds", panels)


def bars(axes: Axes) -> list[tuple[str, float, float]]:
    """Label, middle and length of each bar."""
    return [
        (str(box.get_label()), patch.get_y() + patch.get_height() / 2, patch.get_width())
        for box in axes.containers
        if len(box.get_children()) == 1
        for patch in box.get_children()
        if hasattr(patch, "get_width")
    ]


def test_a_panel_is_a_group_with_a_bar_for_each_method() -> None:
    figure = FIGURES["shares"](table(HITS), Look())
    (axes,) = figure.axes
    found = bars(axes)
    assert [(label, length) for label, _, length in found] == [
        ("iht", 0.55), ("known", 1.0), ("iht", 0.0), ("known", 0.05),
    ]  # fmt: skip
    heights = [y for _, y, _ in found]
    assert heights == sorted(heights)
    assert axes.yaxis_inverted(), "the first panel stands at the top"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Gaussian", "AR(.9)"]
    assert list(axes.get_yticks()) == pytest.approx([np.mean(heights[:2]), np.mean(heights[2:])])
    assert [text.get_text() for text in axes.texts] == ["11/20", "20/20", "0/20", "1/20"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["iht", "known"]
    assert axes.get_xlabel() == "share of seeds with PSNR (dB) ≥ 100"


def test_whiskers_are_wilson_intervals_and_colours_stand_for_methods() -> None:
    (axes,) = FIGURES["shares"](table(HITS), Look(paper=True)).axes
    whiskers = [one.get_segments()[0][:, 0].tolist() for one in axes.collections]
    expected = [wilson(count, SEEDS) for by_method in HITS.values() for count in by_method.values()]
    assert whiskers == [pytest.approx(ends) for ends in expected]
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours[0] == colours[2] != colours[1] == colours[3]
    assert axes.patches[0].get_hatch() != axes.patches[1].get_hatch()


def test_failed_seeds_count_and_lacking_ones_leave_a_dash() -> None:
    whole = table({"a": {"iht": 20, "known": 20, "other": 20}})
    rows = dict(whole.panels[0].rows)
    rows[RowKey("a", "iht", 3, 4, 0)] = row(140.0, status="diverged")
    rows[RowKey("a", "known", 3, 4, 0)] = row(140.0, status="skipped")
    del rows[RowKey("a", "other", 3, 4, 0)]
    lacking = FigureTable(**{**vars(whole), "panels": [PanelTable(**{**vars(whole.panels[0]), "rows": rows})]})
    (axes,) = FIGURES["shares"](lacking, Look()).axes
    assert bars(axes) == [("iht", pytest.approx(0.7), pytest.approx(0.95))]
    assert [text.get_text() for text in axes.texts] == ["19/20", "–", "–"]  # noqa: RUF001


def test_errors_fall_and_budgets_have_bars() -> None:
    (axes,) = FIGURES["shares"](table({"a": {"iht": 5}}, (4, 8), falling=True), Look()).axes
    assert [(label, length) for label, _, length in bars(axes)] == [("s = 4", 0.75), ("s = 8", 0.75)]
    with pytest.raises(InputError, match=r"figure\.level is missing"):
        FIGURES["shares"](table(HITS, level=None), Look())
