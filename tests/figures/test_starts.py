"""Starts as points, curves over a method's setting, and layers as matrices: against the rows they are made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.pictures import Shot, layers
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.figures.text import table_lines
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import FigureSpec

LOSSES = {
    ("IHT", 3): [0.5, 0.1, 0.4],
    ("IHT", 8): [0.2, 0.05, 0.3],
    ("dense", 3): [0.04],
    ("dense", 8): [0.04],
}
LENGTHS = {"(i) @ 10": [1.0, 3.0, 2.0], "(i) @ 100": [4.0, 6.0, 8.0], "bound": [9.0]}


def row(method: str, s: int, seed: int, loss: float, **settings: Any) -> Row:
    base = {"cell": "c", "task": "t", "depth": 1, "panel": "p", "metric": "accuracy", "status": "ok", "m": 1}
    more = {"params": {"method": settings}, "measures": {"lipschitz": loss}}
    return Row.model_validate({**base, **more, "method": method, "s": s, "seed": seed, "final_loss": loss})


def panel(rows: dict[RowKey, Row], methods: list[str], s: list[int], metric: str) -> PanelTable:
    alone = {methods[-1]: [0]}
    return PanelTable("p", "a panel", methods, [1], s, [0, 1, 2], metric, None, rows, own_seeds=alone)


@pytest.fixture
def many() -> FigureTable:
    rows = {
        RowKey("p", method, 1, s, seed): row(method, s, seed, loss)
        for (method, s), losses in LOSSES.items()
        for seed, loss in enumerate(losses)
    }
    spec = FigureSpec(label="P2", scale="log")
    return FigureTable("fig", "Title", spec, "mean over 3 seeds", [panel(rows, ["IHT", "dense"], [3, 8], "final_loss")])


def drawn(axes: Axes) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {}
    for line in axes.lines:
        found.setdefault(str(line.get_label()), []).extend(np.asarray(line.get_xydata()).tolist())
    return found


def test_every_start_is_a_point_beside_median_best_and_yardstick(many: FigureTable) -> None:
    figure = FIGURES["starts"](many, Look())
    found = drawn(figure.axes[0])
    assert sorted(y for _, y in found["IHT, every start"]) == sorted(LOSSES["IHT", 3] + LOSSES["IHT", 8])
    assert all(abs(x - (0 if y in LOSSES["IHT", 3] else 1)) < 0.5 for x, y in found["IHT, every start"])
    assert found["IHT, median"] == [[0, 0.4], [1, 0.2]]
    assert found["IHT, start of least training loss"] == [[0, 0.1], [1, 0.05]]
    assert found["dense"] == [[0, 0.04], [1, 0.04]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["3", "8"]


def test_the_best_start_is_chosen_by_training_loss_whatever_is_shown(many: FigureTable) -> None:
    accuracies = iter([0.9, 0.7, 0.8, 1.0, 0.6, 0.5, 0.4, 0.4])
    (one,) = many.panels
    rows = {place: row.model_copy(update={"value": next(accuracies)}) for place, row in one.rows.items()}
    shown = FigureTable(**{**vars(many), "panels": [PanelTable(**{**vars(one), "rows": rows, "metric": "accuracy"})]})
    assert drawn(FIGURES["starts"](shown, Look()).axes[0])["IHT, start of least training loss"] == [[0, 0.7], [1, 0.6]]


def test_a_method_with_seeds_of_its_own_lacks_none(many: FigureTable) -> None:
    (one,) = many.panels
    assert one.total == 2 * 3 + 2
    assert one.grid("dense", partial=False).mean.tolist() == [[0.04, 0.04]]
    without = {(line[1], line[5]): line[-1] for line in table_lines(many)}
    assert set(without.values()) == {"0"}


def test_a_curve_over_a_setting_joins_labels_and_draws_others_across() -> None:
    rows = {
        RowKey("p", label, 1, 5, seed): row("iht_smooth", 5, seed, value, samples=int(label[6:] or 7))
        for label, values in LENGTHS.items()
        for seed, value in enumerate(values)
    }
    spec = FigureSpec(label="P2", setting="samples", level=0.5)
    figure = FIGURES["setting"](
        FigureTable("fig", "T", spec, "mean over 3 seeds", [panel(rows, list(LENGTHS), [5], "lipschitz")]), Look()
    )
    found = drawn(figure.axes[0])
    assert found["(i)"] == [[10, 2], [100, 6]]
    assert [y for _, y in found["bound"]] == [9, 9]
    assert [0.5, 0.5] in [np.asarray(line.get_ydata()).tolist() for line in figure.axes[0].lines]
    low, high = figure.axes[0].collections[0].get_paths()[0].get_extents().intervaly
    assert (low, high) == (1, 8)
    assert figure.axes[0].get_xscale() == "log"


def test_layers_are_written_out_with_names_and_scales_of_their_own() -> None:
    small, large = np.array([[0.0, -0.25], [1.0, 0.0]]), np.array([[0.0, 1100.0], [0.0, -52.0]])
    figure = layers("t", (["a", "b"], ["x", "bias"]), [[Shot("one", small), Shot("two", large)]])
    one, two = (axes for axes in figure.axes if axes.images)
    assert {text.get_text(): text.get_position() for text in one.texts} == {"-0.25": (1, 0), "1": (0, 1)}
    assert [text.get_text() for text in two.texts] == ["1100", "-52"]
    assert [axes.images[0].get_clim() for axes in (one, two)] == [(-1, 1), (-1100, 1100)]
    assert [label.get_text() for label in one.get_yticklabels()] == ["a", "b"]


def test_a_setting_must_be_named(mlpiht: Callable[..., Any], tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec.replace("label: Tiny,", "label: Tiny, kind: setting,"))
    result = mlpiht("validate", "tiny.yaml")
    assert result.code == 2
    assert "tiny.yaml:14:1: figure.setting: kind setting needs the method's setting" in result.out + result.err
