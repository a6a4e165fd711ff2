"""Diagrams and tables of ranks, against the rows they are made from."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from scipy.stats import chi2

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, KINDS, FigureTable, Look, save_kind
from mlpiht_cli.figures.ranks import Blocks, comma_separated, markdown
from mlpiht_cli.figures.rules import kind_faults
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.figure import FigureSpec
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.schema import Spec
from tests.hand import SPEC

METHODS = ["one", "two", "three", "four"]
SEEDS = 20


def row(value: float | None, metric: str = "psnr", status: str = "ok") -> Row:
    base = {"cell": "c", "task": "planted", "method": "iht", "depth": 1, "m": 3, "s": 4, "params": {}, "seed": 0}
    own = {metric: value} if metric == "psnr" else {}
    return Row.model_validate({**base, **own, "metric": metric, "value": value, "status": status})


def panel(name: str = "p", metric: str = "psnr", **changes: Row | None) -> PanelTable:
    """Four methods with the scores 40, 30, 20, 10 in two cells of 20 seeds; changes are rows of seed 0, s = 4."""
    rows = {
        RowKey(name, method, 3, s, seed): row(40.0 - 10 * i, metric)
        for i, method in enumerate(METHODS)
        for s in (4, 8)
        for seed in range(SEEDS)
    }
    for method, one in changes.items():
        key = RowKey(name, method, 3, 4, 0)
        if one is None:
            del rows[key]
        else:
            rows[key] = one
    return PanelTable(name, f"panel {name}", METHODS, [3], [4, 8], [*range(SEEDS)], metric, None, rows)


def table(*panels: PanelTable, **changes: Any) -> FigureTable:
    spec = FigureSpec.model_validate({"label": "x", "kind": "ranks", **changes})
    return FigureTable("t", "T", spec, "mean over 20 seeds", list(panels))


def blocks(one: PanelTable, **changes: Any) -> Blocks:
    return Blocks.of(one, table(one, **changes))


def test_every_cell_and_seed_is_a_block() -> None:
    found = blocks(panel()).ranks
    assert found is not None
    assert found.ranks.shape == (40, 4)
    assert found.mean.tolist() == [1, 2, 3, 4]
    assert sorted(found.seeds) == sorted([*range(SEEDS)] * 2)


def test_all_exact_fits_are_equal_and_failed_runs_are_last() -> None:
    found = blocks(panel(one=row(165.0), two=row(float("inf")), three=row(100.0), four=row(None, status="diverged")))
    assert found.ranks is not None
    assert found.ranks.ranks[0].tolist() == [2, 2, 2, 4]
    failed = blocks(panel(one=row(None, status="failed"), two=row(None, status="timeout"))).ranks
    assert failed is not None
    assert failed.ranks[0].tolist() == [3.5, 3.5, 1, 2]
    error = blocks(
        panel(metric="relative_error", one=row(1e-7, "relative_error"), two=row(0.0, "relative_error"))
    ).ranks
    assert error is not None
    assert error.ranks[0].tolist() == [1.5, 1.5, 4, 3], "of errors the least is the best, and the exact ones are equal"
    rising = blocks(panel(), falling=True).ranks
    assert rising is not None
    assert rising.mean.tolist() == [4, 3, 2, 1]
    with pytest.raises(InputError, match="whether less of lipschitz is better"):
        blocks(panel(metric="lipschitz"))


def test_incomplete_blocks_are_left_out_and_said() -> None:
    lacking = panel(two=None, three=row(None, status="skipped"))
    found = blocks(lacking)
    assert found.ranks is not None
    assert (len(found.ranks.scores), found.left_out, found.lacking) == (39, 1, ("two", "three"))
    (axes,) = FIGURES["ranks"](table(lacking), Look()).axes
    assert axes.get_title() == "39 blocks, 1 left out (lack two, three); Friedman p < 0.001"


def test_a_method_that_never_ran_is_not_ranked() -> None:
    whole = panel()
    rows = {key: row(None, status="skipped") if key.label == "two" else one for key, one in whole.rows.items()}
    without = replace(whole, rows=rows)
    found = blocks(without)
    assert found.ranks is not None
    assert (found.ranks.methods, found.left_out, found.absent) == (("one", "three", "four"), 0, ("two",))
    (axes,) = FIGURES["ranks"](table(without), Look()).axes
    assert axes.get_title() == "40 blocks, without two; Friedman p < 0.001"
    assert [line["method"] for line in csv.DictReader(io.StringIO(comma_separated(table(without))))][-1] == "two"
    none = replace(whole, rows={})
    empty = FIGURES["ranks"](table(whole, none), Look())
    assert empty.axes[1].get_title().endswith("no block has all methods, without one, two, three, four")
    assert "| panel p | one |  |" in markdown(table(none))


def horizontal(axes: Axes, width: float) -> list[list[float]]:
    return [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == width]


def test_a_diagram_shows_mean_ranks_and_joins_what_does_not_differ() -> None:
    """Two methods that take turns, above two that do not: the CD of 40 blocks is 0.74."""
    whole = panel()
    rows = {
        key: row(30.0 if (key.label == "one") == (key.seed % 2 == 0) else 40.0) if key.label in ("one", "two") else one
        for key, one in whole.rows.items()
    }
    (axes,) = FIGURES["ranks"](table(replace(whole, rows=rows)), Look(paper=True)).axes
    labels = [text.get_text() for text in axes.texts]
    assert any(label.startswith("one  1.50 [1.") for label in labels)
    assert "three  3.00 [3.00, 3.00]" in labels
    assert " CD = 0.74" in labels
    (bar,) = horizontal(axes, 3)
    assert bar == pytest.approx([1.5, 1.5], abs=0.05)
    dots = sorted(float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o")
    assert dots == [1.5, 1.5, 3.0, 4.0]


def test_where_nothing_differs_one_bar_joins_all() -> None:
    whole = panel()
    turning = replace(whole, rows={
        key: row(10.0 * ((METHODS.index(key.label) + key.seed) % 4)) for key in whole.rows
    })  # fmt: skip
    (axes,) = FIGURES["ranks"](table(turning), Look()).axes
    assert axes.get_title() == "40 blocks; Friedman p = 1, no difference found"
    assert len(horizontal(axes, 3)) == 1
    lines = list(csv.DictReader(io.StringIO(comma_separated(table(turning)))))
    assert {line["groups"] for line in lines} == {"a"}


def test_labels_of_many_methods_do_not_overlap() -> None:
    names = [f"a method called {i}" for i in range(15)]
    rows = {
        RowKey("p", name, 3, 4, seed): row(float(i + seed % 3)) for i, name in enumerate(names) for seed in range(5)
    }
    many = PanelTable("p", "p", names, [3], [4], [*range(5)], "psnr", None, rows)
    figure = FIGURES["ranks"](table(many), Look())
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) > 15
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_picture_and_two_tables_are_written(tmp_path: Path) -> None:
    paths = save_kind("ranks", table(panel()), Look(), tmp_path / "t", ["png"])
    assert [path.name for path in paths] == ["t.png", "t.md", "t.csv"]
    text = (tmp_path / "t.md").read_text()
    assert text.startswith("**x: T** (ranks by PSNR (dB); blocks of 20 seeds)\n")
    p = chi2.sf(40 * 3, 3)  # blocks that all agree
    assert f"| panel p | one | 1.00 | 1.00 | 1.00 |  | 40 | 0 | {p:.2g} | 0.74 |" in text
    assert KINDS.count("ranks") == 1


def test_specs_rank_three_methods_or_more() -> None:
    data = parse(SPEC, Path("hand.yaml")).data
    two = Spec.model_validate({**data, "figure": {"label": "F", "kind": "ranks"}})
    (fault,) = kind_faults(Draft(two))
    assert fault.message == "ranks need 3 methods or more; panel 'a' has fewer"
    third = {"name": "iht", "steps": 2, "label": "short"}
    three = Spec.model_validate(
        {**data, "methods": [*data["methods"], third], "figure": {"label": "F", "kind": "ranks"}}
    )
    assert kind_faults(Draft(three)) == []
