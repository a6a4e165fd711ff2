from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.core.metric import PERFECT_DB
from mlpiht_cli.figures import FIGURES, FigureTable, Look, save
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv, to_csv
from mlpiht_cli.specs.figure import FigureSpec

Run = Callable[..., Any]


def row(method: str, m: int, s: int, seed: int, value: float | None, status: str = "ok") -> Row:
    base = {"cell": "c", "task": "t", "depth": 1, "params": {}, "panel": "p", "metric": "psnr"}
    made = {"method": method, "m": m, "s": s, "seed": seed, "psnr": value, "value": value, "status": status}
    return Row.model_validate(base | made)


@pytest.fixture
def panel() -> PanelTable:
    """One method, m = 1, 2, s = 3, 4, 5: full, perfect, one seed missing, none, skipped, diverged."""
    rows = [row("iht", 1, 3, 0, 10.0), row("iht", 1, 3, 1, 20.0)]
    rows += [row("iht", 1, 4, 0, np.inf), row("iht", 1, 4, 1, 30.0)]
    rows += [row("iht", 1, 5, 0, 40.0)]
    rows += [row("iht", 2, 4, seed, None, "skipped") for seed in (0, 1)]
    rows += [row("iht", 2, 5, 0, 1.0), row("iht", 2, 5, 1, None, "diverged")]
    by_place = {RowKey("p", r.method, r.m, r.s, r.seed): r for r in rows}
    return PanelTable("p", "a panel", ["iht"], [1, 2], [3, 4, 5], [0, 1], "psnr", (-20.0, 50.0), by_place)


def figure_table(panel: PanelTable) -> FigureTable:
    return FigureTable("fig", "Title", FigureSpec(label="Figure 1", level=30, against_score="psnr"), "note", [panel])


@pytest.mark.parametrize(("count", "rows"), [(2, 1), (3, 1), (4, 2), (5, 2), (7, 3)])
def test_methods_of_one_panel_stand_in_rows_of_three_or_fewer(panel: PanelTable, count: int, rows: int) -> None:
    many = replace(panel, methods=[f"method {i}" for i in range(count)])
    axes = [one for one in FIGURES["heatmap"](figure_table(many), Look()).axes if one.images and one.get_xlabel()]
    tops = [round(one.get_position().y0, 3) for one in axes]
    assert (len(axes), len(set(tops))) == (count, rows)
    assert max(map(tops.count, tops)) <= 3


def test_a_mean_needs_all_seeds_and_never_counts_a_skip_as_a_number(panel: PanelTable) -> None:
    grid = panel.grid("iht", partial=False)
    assert grid.state.tolist() == [["ok", "ok", "missing"], ["missing", "skipped", "bad"]]
    np.testing.assert_allclose(grid.mean, [[15.0, (PERFECT_DB + 30) / 2, np.nan], [np.nan] * 3])
    partial = panel.grid("iht", partial=True)
    assert partial.state.tolist() == [["ok", "ok", "ok"], ["missing", "skipped", "bad"]]
    assert partial.mean[0, 2] == 40.0
    assert partial.std[0, 0] == 5.0
    assert np.isnan(partial.std[0, 2]), "one seed has no spread"


@pytest.mark.parametrize(
    "kind", [kind for kind in FIGURES if kind not in ("difference", "scaling", "success", "verdicts")]
)
@pytest.mark.parametrize("look", [Look(), Look(paper=True, annotate=True), Look(partial=True)])
def test_every_kind_draws_with_every_look(panel: PanelTable, kind: str, look: Look, tmp_path: Path) -> None:
    figure = FIGURES[kind](figure_table(panel), look)
    paths = save(figure, tmp_path / "fig", ["png", "pdf", "svg"])
    assert [path.name for path in paths] == ["fig.png", "fig.pdf", "fig.svg"]
    assert all(path.stat().st_size > 1000 for path in paths)
    again = save(FIGURES[kind](figure_table(panel), look), tmp_path / "again", ["png", "pdf"])
    assert paths[0].read_bytes() == again[0].read_bytes(), "the same table gives the same picture"
    assert paths[1].read_bytes() == again[1].read_bytes()


def test_titles_are_words_not_formulas(panel: PanelTable, tmp_path: Path) -> None:
    data = FigureTable("fig", r"bad $\frac{1$", FigureSpec(label="Figure 1"), "costs $5 and $6", [panel])
    assert save(FIGURES["heatmap"](data, Look()), tmp_path / "fig", ["png"])[0].exists()


def test_orientation_limits_and_marks(panel: PanelTable) -> None:
    axes = FIGURES["heatmap"](figure_table(panel), Look()).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["3", "4", "5"], "columns are s"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "2"], "rows are m"
    image = axes.images[0]
    assert image.get_clim() == (-20.0, 50.0)
    assert float(np.asarray(image.get_array())[0, 0]) == 15.0
    hatches = sorted(str(p.get_hatch()) for p in axes.patches if isinstance(p, Rectangle))
    assert hatches == ["", "////", "////", "xxxx"]


def test_plot_of_a_spec_and_of_its_table(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    missing = mlpiht("plot", "tiny")
    assert missing.code == 2
    assert "make it with `mlpiht sweep tiny --profile paper`" in missing.err
    mlpiht("sweep", "tiny", "--only", "m=2")
    result = mlpiht("plot", "tiny", "--json")
    assert result.json == {
        "files": ["results/figures/tiny.png", "results/figures/tiny.pdf"],
        "cells": 16,
        "missing": 8,
    }
    assert "8 of 16 cells have no result yet: hatched" in result.err
    table = mlpiht("plot", "results/tiny.csv", "--format", "svg", "--out", "elsewhere", "--annotate")
    assert table.out == "elsewhere/figures/tiny.svg\n"
    other = mlpiht("plot", "tiny", "--profile", "smoke")
    assert other.code == 2
    assert "there is a table of --profile paper" in other.err


def test_rows_of_other_settings_are_not_passed_off_as_the_specs(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny", "--set", "method.iht.steps=1", "--set", "task.n=30")
    result = mlpiht("plot", "tiny", "--json")
    assert result.json["missing"] == 16
    assert "16 row(s) were made with other settings than the spec's" in result.err
    assert mlpiht("plot", "results/tiny.csv", "--json").json["missing"] == 0
    mlpiht("sweep", "tiny", "--profile", "smoke")
    assert mlpiht("plot", "tiny", "--profile", "smoke", "--json").json == {
        "files": ["results/figures/tiny-smoke.png", "results/figures/tiny-smoke.pdf"],
        "cells": 8,
        "missing": 0,
    }


def test_a_figure_of_another_metric_is_refused(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec.replace("label: Tiny", "label: Tiny, metric: accuracy"))
    mlpiht("sweep", "tiny", "--only", "method=iht")
    result = mlpiht("plot", "tiny")
    assert result.code == 2
    assert "the figure shows accuracy, but the rows of panel 'a' have psnr" in result.err


def test_minus_infinity_is_bad(panel: PanelTable) -> None:
    panel.rows[RowKey("p", "iht", 1, 3, 0)] = row("iht", 1, 3, 0, -np.inf)
    grid = panel.grid("iht", partial=True)
    assert grid.state[0, 0] == "bad"
    assert np.isnan(grid.mean[0, 0])


@pytest.mark.parametrize("metric", ["foo", ""])
def test_a_table_of_an_unknown_metric_is_refused(mlpiht: Run, metric: str) -> None:
    Path("t.csv").write_text(to_csv([row("iht", 1, 3, 0, 1.0).model_copy(update={"metric": metric})]))
    result = mlpiht("plot", "t.csv")
    assert result.code == 2
    assert f"t.csv: unknown metric '{metric}'" in result.err


def test_a_table_is_drawn_whatever_its_params(mlpiht: Run) -> None:
    rows = [row("iht", 1, 3, 0, 1.0), row("iht", 1, 3, 1, -np.inf)]
    rows = [r.model_copy(update={"cell": f"c{r.seed}", "params": {"method": r.seed or None}}) for r in rows]
    Path("t.csv").write_text(to_csv(rows))
    assert mlpiht("plot", "t.csv").code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("absent.csv",), "cannot be read"),
        (("bad.csv",), "not a results table"),
        (("empty.csv",), "holds no rows"),
        (("figur1",), "did you mean 'figure1'?"),
        (("figure1", "--format", "gif"), "--format gif: unknown"),
    ],
)
def test_plots_that_cannot_be_drawn(mlpiht: Run, args: tuple[str, ...], message: str) -> None:
    Path("bad.csv").write_text("a,b\n1,2\n")
    Path("empty.csv").write_text(to_csv([]))
    assert read_csv(Path("empty.csv")) == []
    result = mlpiht("plot", *args)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_a_view_without_rows_is_left_out_and_said_so(mlpiht: Run, tiny_spec: str) -> None:
    second = "  - name: b\n    task: {name: planted, n: 80, d: 6}\n    m: [2, 3]\n    s: [2, 5]\n"
    views = "[{name: first, panels: [a]}, {name: second, panels: [b]}]"
    text = tiny_spec.replace("figure: {", f"{second}figure: {{views: {views}, ")
    Path("tiny.yaml").write_text(text)
    assert mlpiht("sweep", "tiny", "--only", "panel=a").code == 0
    result = mlpiht("plot", "tiny", "--format", "png")
    assert result.out.split() == ["results/figures/tiny-first.png"]
    assert "tiny-second: none of its cells has a result yet; not drawn" in result.err


def test_a_picture_says_which_values_it_shows(mlpiht: Run, tiny_spec: str) -> None:
    def told() -> object:
        assert mlpiht("plot", "tiny", "--format", "png", "--partial").code == 0
        with Image.open("results/figures/tiny.png") as picture:
            return picture.info["Description"]

    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny", "--only", "m=2")
    first = told()
    assert told() == first
    mlpiht("sweep", "tiny")
    assert told() != first
