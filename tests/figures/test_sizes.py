"""Figures of panels that vary n and d: curves, scaling, tables and views, against rows of a known law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.lines import style
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.figures.text import comma_separated, markdown
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.figure import Slope
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.specs.schema import Spec
from tests.hand import VARIED

Run = Callable[..., Any]
SIZES = "n: [8, 16, 32, 64, 128, 256]\n    d: [4, 8, 16]"


def with_sizes(sizes: str) -> str:
    return VARIED.replace("n: [10, 20, 40]\n    d: [8, 16]", sizes).replace("smoke: {n: [20]", "smoke: {n: [32]")


def error(n: int, d: int, seed: int) -> float:
    """Falls through one half at n = 4 d, times 1.1 or 0.9 by seed."""
    return 1 / (1 + n / (4 * d * (0.9, 1.1)[seed]))


def rows(spec: Spec) -> list[Row]:
    made = []
    for i, p in enumerate(expand(spec).points):
        n, d = p.n or 20, p.d or 16
        value = error(n, d, p.seed)
        params = {"method": {"steps": 3}, "task": {"n": n, "d": d}}
        base = {"panel": p.panel, "task": p.task, "method": p.method, "depth": 1, "m": 1, "s": p.s, "seed": p.seed}
        more = {"cell": f"c{i}", "n": n, "d": d, "status": "ok", "metric": "relative_error", "value": value}
        made.append(Row.model_validate({**base, **more, "params": params, "final_loss": value**2}))
    return made


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, FigureTable]:
    path = tmp_path / "varied.yaml"
    path.write_text(with_sizes(SIZES).replace("s: [2, 3]", "s: [2]"))
    (tmp_path / "varied.csv").write_text(to_csv(rows(load_spec(path))))
    return {one.name.removeprefix("varied-"): one for one in figure_tables(str(path), "paper", tmp_path)}


def test_views_show_their_panels_in_their_way(tables: dict[str, FigureTable]) -> None:
    shown = {name: ([panel.name for panel in one.panels], one.spec.kinds) for name, one in tables.items()}
    assert shown == {
        "curves": (["a"], ["curve"]),
        "losses": (["a"], ["curve"]),
        "laws": (["a"], ["scaling"]),
        "words": (["a", "b"], ["table"]),
        "map": (["b"], ["heatmap"]),
    }
    assert (tables["curves"].title, tables["losses"].title) == ("Over n", "Varied")
    assert tables["losses"].panels[0].metric == "final_loss"
    assert tables["losses"].panels[0].limits is None, "the figure's limits are those of another metric"
    assert tables["map"].panels[0].limits == (0.0, 1.0)
    assert "n = 20" in tables["map"].note
    assert "n =" not in tables["curves"].note


def test_the_note_tells_how_many_seeds_the_panels_have(tmp_path: Path) -> None:
    path = tmp_path / "varied.yaml"
    path.write_text(with_sizes(SIZES))
    some = [row for row in rows(load_spec(path)) if (row.panel, row.seed) != ("b", 1)]
    (tmp_path / "varied.csv").write_text(to_csv(some))
    notes = {one.name: one.note for one in figure_tables(str(path), "paper", tmp_path)}
    assert notes["varied-curves"] == "paper profile, mean over 2 seeds"
    assert notes["varied-words"] == "paper profile, mean over 1 to 2 seeds"
    assert notes["varied-map"] == "paper profile, n = 20, one seed"
    assert figure_tables(str(tmp_path / "varied.csv"), "paper", tmp_path)[0].note.endswith("mean over 1 to 2 seeds")
    path.write_text(with_sizes(SIZES)[: with_sizes(SIZES).index("\nprofiles:") + 1])
    notes = {one.name: one.note for one in figure_tables(str(path), "paper", tmp_path)}
    assert notes["varied-curves"] == "mean over 2 seeds", "a spec without profiles has no paper profile"
    assert notes["varied-map"] == "n = 20, one seed"


def test_a_curve_over_n_is_a_line_for_each_d(tables: dict[str, FigureTable]) -> None:
    (axes,) = FIGURES["curve"](tables["curves"], Look()).axes
    lines = {str(line.get_label()): line.get_xydata() for line in axes.lines}
    assert list(lines) == ["d = 4", "d = 8", "d = 16"]
    np.testing.assert_array_equal(lines["d = 8"][:, 0], [8, 16, 32, 64, 128, 256])
    expected = [np.median([error(n, 8, seed) for seed in (0, 1)]) for n in (8, 16, 32, 64, 128, 256)]
    np.testing.assert_allclose(lines["d = 8"][:, 1], expected)
    assert axes.get_xlabel() == "samples n"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["256", "128", "64", "32", "16", "8"]


def test_a_curve_of_another_metric_over_d_on_a_log_scale(tables: dict[str, FigureTable]) -> None:
    (axes,) = FIGURES["curve"](tables["losses"], Look()).axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("features d", "training loss", "log")
    assert [str(line.get_label()) for line in axes.lines] == [f"n = {n}" for n in (8, 16, 32, 64, 128, 256)]
    values = axes.lines[0].get_xydata()
    np.testing.assert_allclose(values[:, 1], [np.median([error(8, d, s) ** 2 for s in (0, 1)]) for d in (4, 8, 16)])


def test_too_many_lines_get_axes_of_their_own(tmp_path: Path) -> None:
    sizes = SIZES.replace("d: [4", "d: [2, 4")
    (tmp_path / "varied.yaml").write_text(with_sizes(sizes))
    (tmp_path / "varied.csv").write_text(to_csv(rows(load_spec(tmp_path / "varied.yaml"))))
    curves = figure_tables(str(tmp_path / "varied.yaml"), "paper", tmp_path)[0]
    grid = FIGURES["curve"](curves, Look()).axes
    assert [axes.get_title() for axes in grid] == ["d = 2", "d = 4", "d = 8", "d = 16"]
    assert {tuple(str(line.get_label()) for line in axes.lines) for axes in grid} == {("s = 2", "s = 3")}
    assert len({axes.get_ylim() for axes in grid}) == 1
    assert [axes.get_xlabel() for axes in grid] == ["", "samples n", "samples n", "samples n"]
    assert [axes.get_ylabel() != "" for axes in grid] == [True, False, False, True]
    assert len({tuple(style(i).values()) for i in range(84)}) == 84


def test_scaling_shows_the_law(tables: dict[str, FigureTable]) -> None:
    figure = FIGURES["scaling"](tables["laws"], Look())
    (axes,) = figure.axes
    (points,) = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    medians = {d: [np.median([error(n, d, s) for s in (0, 1)]) for n in (8, 16, 32, 64, 128, 256)] for d in (4, 8, 16)}
    assert medians[4][0] > 0.5 > medians[4][1], "n* of d = 4 is inside of the grid"
    np.testing.assert_allclose(points.get_ydata(), [16, 32, 64], rtol=0.02)
    labels = [str(text.get_text()) for text in figure.legends[0].get_texts()]
    assert labels[0].startswith("a: slope 1.00 [")
    assert labels[1:] == ["theory: linear (slope 1)", "theory: none (slope 0)"]
    assert axes.get_ylabel() == "samples n* with relative error of the weights ≤ 0.5"
    reference = next(line for line in axes.lines if str(line.get_label()).startswith("theory: linear"))
    ys = np.asarray(reference.get_ydata(), dtype=float)
    assert ys[1] / ys[0] == pytest.approx(4.0)


def test_a_reference_goes_through_the_points_of_its_line(tables: dict[str, FigureTable]) -> None:
    data = tables["laws"]
    spec = data.spec.model_copy(update={"slopes": {"square": Slope(slope=2, of="a")}})
    (axes,) = FIGURES["scaling"](FigureTable(**{**vars(data), "spec": spec}), Look()).axes
    line = next(one for one in axes.lines if str(one.get_label()) == "theory: square (slope 2)")
    np.testing.assert_allclose(line.get_ydata(), [8, 128], rtol=0.02, err_msg="n* is 16, 32, 64 at d = 4, 8, 16")
    assert line.get_color() == style(0)["color"]
    wrong = data.spec.model_copy(update={"slopes": {"square": Slope(slope=2, of="A")}})
    with pytest.raises(InputError, match=r"figure\.slopes: no line 'A', did you mean 'a'"):
        FIGURES["scaling"](FigureTable(**{**vars(data), "spec": wrong}), Look())


def test_a_reference_of_a_line_without_all_its_rows_waits_for_them(tables: dict[str, FigureTable]) -> None:
    data = tables["laws"]
    panels = [data.panels[0], replace(data.panels[0], title="b", rows={})]
    spec = data.spec.model_copy(update={"slopes": {"square": Slope(slope=2, of="b"), "as d": 1}})
    (axes,) = FIGURES["scaling"](FigureTable(**{**vars(data), "spec": spec, "panels": panels}), Look()).axes
    assert [str(one.get_label()) for one in axes.lines if "theory" in str(one.get_label())] == [
        "theory: as d (slope 1)"
    ]


def test_scaling_marks_what_is_outside_of_the_grid(tables: dict[str, FigureTable]) -> None:
    data = tables["laws"]
    for level, marker, place, words in (
        (0.05, "^", 256, "above the largest n"),
        (0.95, "v", 8, "not above the least n"),
    ):
        spec = data.spec.model_copy(update={"level": level})
        figure = FIGURES["scaling"](FigureTable(**{**vars(data), "spec": spec}), Look(paper=True))
        marks = [line for line in figure.axes[0].lines if line.get_marker() == marker and len(line.get_xdata())]
        assert {float(line.get_ydata()[0]) for line in marks} == {place}
        assert words in [text.get_text() for text in figure.legends[0].get_texts()]
    with pytest.raises(InputError, match=r"figure\.level is missing"):
        FIGURES["scaling"](FigureTable(**{**vars(data), "spec": data.spec.model_copy(update={"level": None})}), Look())
    with pytest.raises(InputError, match="'b' does not vary n"):
        FIGURES["scaling"](FigureTable(**{**vars(data), "panels": tables["map"].panels}), Look())


def test_a_map_of_several_sizes_is_refused(tables: dict[str, FigureTable]) -> None:
    with pytest.raises(InputError, match="panel 'a' varies n or d"):
        FIGURES["heatmap"](tables["curves"], Look())


def test_tables_have_columns_for_what_varies(tables: dict[str, FigureTable]) -> None:
    text = markdown(tables["words"])
    assert "| panel | method | n | d | m | s | seeds | median |" in text
    medians = [float(np.median([error(n, 16, seed) for seed in (0, 1)])) for n in (8, 20)]
    assert f"| a | iht_linear | 8 | 16 | 1 | 2 | 2 | {medians[0]:.4f} |" in text
    assert f"| b | iht_linear |  |  | 1 | 2 | 2 | {medians[1]:.4f} |" in text
    assert comma_separated(tables["words"]).splitlines()[1].startswith("a,iht_linear,8,4,1,2,2,")
    assert " n | d " not in markdown(tables["map"])


def test_a_spec_and_its_csv_are_drawn(mlpiht: Run) -> None:
    Path("varied.yaml").write_text(VARIED)
    assert mlpiht("sweep", "varied").code == 0
    result = mlpiht("plot", "varied", "--format", "png", "--json")
    assert result.code == 0
    names = [Path(name).name for name in result.json["files"]]
    assert names == [
        *("varied-curves.png", "varied-losses.png", "varied-laws.png"),
        *("varied-words.md", "varied-words.csv", "varied-map.png"),
    ]
    assert (result.json["cells"], result.json["missing"]) == (26, 0)
    result = mlpiht("plot", "results/varied.csv")
    assert result.code == 2
    assert "panel 'a' varies n or d, which a map over m and s cannot show" in result.err
    smoke = mlpiht("sweep", "varied", "--profile", "smoke")
    assert smoke.code == 0
    assert mlpiht("plot", "varied", "--profile", "smoke", "--format", "png").code == 0, "one n is left, and one d"
