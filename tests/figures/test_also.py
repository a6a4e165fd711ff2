"""Further scores in the axes of the metric: lines, labels and looks, against the rows they are made from."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, FigureTable, Look
from mlpiht_cli.figures.lines import Scores
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.figures.rules import kind_faults
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.figure import FigureSpec, View
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.specs.schema import Spec
from tests.hand import VARIED

SAMPLES = [10, 20, 40]


def found(n: int, seed: int) -> float:
    return 0.1 + n / 100 + seed


def row(method: str, n: int, seed: int, measures: dict[str, float], **settings: Any) -> Row:
    base = {"cell": "c", "task": "t", "depth": 1, "panel": "p", "metric": "psnr", "value": 1.0, "status": "ok", "m": 1}
    more = {"s": 5, "params": {"method": settings}, "measures": measures}
    return Row.model_validate({**base, **more, "method": "eigenvalues", "n": n, "seed": seed})


def table(methods: list[str], also: list[str]) -> FigureTable:
    """Found supports at ``found``, random ones a hundred above, certified ones a tenth of it."""
    rows = {
        RowKey("p", method, 1, 5, seed, n, None): row(
            method,
            n,
            seed,
            {"alpha_found": (x := found(n, seed)), "alpha_random": x + 100, "alpha_certified": x / 10, "other": 7},
        )
        for method in methods
        for n in SAMPLES
        for seed in range(3)
    }
    panel = PanelTable("p", "a panel", methods, [1], [5], [0, 1, 2], "alpha_found", None, rows, n=SAMPLES)
    spec = FigureSpec(label="T", kind="curve", x="n", metric="alpha_found", also=also)
    return FigureTable("fig", "Title", spec, "mean over 3 seeds", [panel])


def lines(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines}


def test_further_scores_are_lines_without_a_band() -> None:
    (axes,) = FIGURES["curve"](table(["one"], ["alpha_random", "alpha_certified"]), Look()).axes
    drawn = lines(axes)
    assert list(drawn) == ["found support", "random supports", "certified"]
    assert axes.get_ylabel() == "least eigenvalue"
    middle = [median(found(n, seed) for seed in range(3)) for n in SAMPLES]
    assert drawn["found support"].get_ydata().tolist() == pytest.approx(middle)
    assert drawn["random supports"].get_ydata().tolist() == pytest.approx([y + 100 for y in middle])
    assert drawn["certified"].get_ydata().tolist() == pytest.approx([y / 10 for y in middle])
    (band,) = axes.collections
    assert band.get_paths()[0].get_extents().intervaly.tolist() == [found(10, 0), found(40, 2)]
    assert len({line.get_linestyle() for line in drawn.values()}) == 3
    assert len({line.get_color() for line in drawn.values()}) == 3


def test_colours_stand_for_methods_and_dashes_for_scores() -> None:
    (axes,) = FIGURES["curve"](table(["one", "two"], ["alpha_random"]), Look()).axes
    drawn = lines(axes)
    assert list(drawn) == [
        f"{method}, {which}" for method in ("one", "two") for which in ("found support", "random supports")
    ]
    looks = {label: (line.get_color(), line.get_linestyle()) for label, line in drawn.items()}
    for method, other in (("one", "two"), ("two", "one")):
        assert looks[f"{method}, found support"][0] == looks[f"{method}, random supports"][0]
        assert looks[f"{method}, found support"][1] != looks[f"{method}, random supports"][1]
        assert looks[f"{method}, found support"][0] != looks[f"{other}, random supports"][0]


def test_scores_without_a_common_part_keep_their_labels() -> None:
    panel = table(["one"], []).panels[0]
    both = Scores.of(panel, table(["one"], ["beta_found", "alpha_random"]))
    assert both.axis == "least eigenvalue and largest eigenvalue"
    assert both.words["beta_found"] == "largest eigenvalue, found support"
    alone = Scores.of(panel, table(["one"], []))
    assert (alone.axis, alone.words) == ("least eigenvalue, found support", {"alpha_found": ""})
    whole = Scores(("tail_factor", "tail"))
    assert whole.words == {"tail_factor": "factor of the loss per step, measured", "tail": "tail"}


def test_more_lines_than_one_pair_of_axes_holds_are_spread() -> None:
    many = table(["one", "two", "three", "four"], ["alpha_random"])
    (one,) = many.panels
    again = {place._replace(panel="q"): row for place, row in one.rows.items()}
    panels = [one, PanelTable(**{**vars(one), "name": "q", "rows": again})]
    grid = FIGURES["curve"](FigureTable(**{**vars(many), "panels": panels}), Look()).axes
    assert [len(axes.lines) for axes in grid] == [8, 8], "four lines of two scores each are not few"


@pytest.mark.parametrize(("angles", "scale"), [([0.25, 0.5, 0.75], "linear"), ([1, 10, 100], "log")])
def test_scores_over_a_setting(angles: list[float], scale: str) -> None:
    rows = {
        RowKey("p", f"pair @ {angle}", 1, 5, seed): row(
            "pair", 1, seed, {"lambda_min": angle + seed, "lambda_min_formula": 2 * angle}, angle=angle
        )
        for angle in angles
        for seed in range(3)
    }
    methods = [f"pair @ {angle}" for angle in angles]
    panel = PanelTable("p", "a panel", methods, [1], [5], [0, 1, 2], "lambda_min", None, rows)
    spec = FigureSpec(label="T", kind="setting", setting="angle", metric="lambda_min", also=["lambda_min_formula"])
    data = FigureTable("fig", "Title", spec, "mean over 3 seeds", [panel])
    (axes,) = FIGURES["setting"](data, Look()).axes
    drawn = lines(axes)
    assert drawn["measured"].get_xydata().tolist() == [[angle, angle + 1] for angle in angles]
    assert drawn["formula"].get_xydata().tolist() == [[angle, 2 * angle] for angle in angles]
    assert (axes.get_xscale(), axes.get_ylabel()) == (scale, "least eigenvalue")
    assert len(axes.collections) == 1
    other = FigureTable(**{**vars(data), "spec": spec.model_copy(update={"setting": "angles"})})
    with pytest.raises(InputError, match=r"method 'pair @ .*' has no setting 'angles' that is a number"):
        FIGURES["setting"](other, Look())


def faults(figure: dict[str, Any]) -> list[tuple[Any, str]]:
    spec = Spec.model_validate({**parse(VARIED, Path("varied.yaml")).data, "figure": {"label": "F", **figure}})
    return [(fault.location, fault.message) for fault in kind_faults(Draft(spec))]


def test_kinds_that_show_one_score_refuse_more() -> None:
    curve = {"kind": "curve", "x": "n", "also": ["nnz"]}
    assert faults(curve) == []
    message = "curve and setting draw further scores; kind starts shows the metric alone"
    assert faults({**curve, "kind": ["curve", "starts"]}) == [(("figure", "also"), message)]
    table_of = {**curve, "views": [{"name": "v", "kind": "table"}]}
    assert faults(table_of) == [(("figure", "views", 0, "also"), message.replace("starts", "table"))]
    assert faults({**curve, "views": [{"name": "v", "kind": "table", "also": []}]}) == []


def test_a_view_of_another_metric_leaves_the_further_scores() -> None:
    figure = FigureSpec(label="F", kind="curve", also=["b"], metric="a")
    assert figure.of(View(name="same")).also == ["b"]
    assert figure.of(View(name="other", metric="c")).also == []
    assert figure.of(View(name="own", metric="c", also=["d"])).also == ["d"]
    for wrong in (["b", "b"], ["a", "b", "c", "d", "e", "f"]):
        with pytest.raises(ValueError, match="also"):
            FigureSpec(label="F", also=wrong)


def test_pictures_are_older_than_rows_with_other_further_scores(tmp_path: Path) -> None:
    path = tmp_path / "varied.yaml"
    view = "  views:\n    - {name: eigen, kind: curve, x: n, panels: [a], metric: alpha_found, also: [alpha_random]}\n"
    head, _, tail = VARIED.partition("  views:\n")
    path.write_text(head + view + tail[tail.index("claims:") :])

    def shown(**measures: float) -> FigureTable:
        rows = []
        for i, p in enumerate(expand(load_spec(path)).points):
            params = {"method": {"steps": 3}, "task": {"n": p.n or 20, "d": p.d or 16}}
            base = {"panel": p.panel, "task": p.task, "method": p.method, "depth": 1, "m": 1, "s": p.s, "seed": p.seed}
            more = {"cell": f"c{i}", "n": p.n or 20, "d": p.d or 16, "status": "ok", "measures": measures}
            rows.append(Row.model_validate({**base, **more, "metric": "relative_error", "value": 1, "params": params}))
        (tmp_path / "varied.csv").write_text(to_csv(rows))
        return figure_tables(str(path), "paper", tmp_path)[0]

    first = shown(alpha_found=1, alpha_random=2)
    assert first.fingerprint == shown(alpha_found=1, alpha_random=2, alpha_certified=5).fingerprint
    assert first.fingerprint != shown(alpha_found=1, alpha_random=3).fingerprint
    with pytest.raises(InputError, match="the figure shows alpha_random, but the rows of panel 'a' have"):
        shown(alpha_found=1)


def test_dashes_of_lines_at_one_place_take_turns() -> None:
    scores = Scores(("alpha_found", "alpha_random"))
    first, second = (scores.style("alpha_random", number, several=True) for number in (0, 1))
    offset, pattern = second["linestyle"]
    assert (first["linestyle"], first["marker"]) == ("--", second["marker"])
    assert list(pattern) == mpl.rcParams["lines.dashed_pattern"], "the dashes of the first line"
    assert offset == sum(pattern) / 2
    assert scores.style("alpha_found", 1, several=True)["linestyle"] == "-"
