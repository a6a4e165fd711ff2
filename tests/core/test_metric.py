"""One entry of the table is a whole metric: fit, figures, claims and comparisons take every fact from it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpiht_cli.analysis.scores import finite_number, intact, number, recorded
from mlpiht_cli.core.metric import METRICS, Metric, Tolerance, metric, task_metrics
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import Scores, evaluate
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, Look
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.figures.text import markdown
from mlpiht_cli.records.rows import SCORES, Row
from mlpiht_cli.records.table import read_csv, to_csv
from mlpiht_cli.tasks.planted import Planted

Run = Callable[..., Any]

TOY = Metric(
    "error of the labels (u)",
    lambda fit: float((fit.prediction - fit.problem.y_test).square().mean().sqrt()),
    always=True,
    falling=True,
    unit=" u",
    digits=3,
    exact=0.0,
    perfect=9.0,
    bounded=True,
    limits=(0.0, 7.0),
    tolerance=Tolerance(absolute=0.25),
    undefined="nobody measured it",
    aliases=("toy_u",),
)

SPEC = """\
spec_version: 1
name: toys
title: Toys
source: test
seeds: [0, 1]
methods:
  - {name: iht, steps: 4}
panels:
  - {name: a, task: {name: planted, d: 6}, m: [2], s: [4], n: [20, 40, 80]}
  - {name: b, task: {name: planted, n: 40, d: 6}, m: [2, 3], s: [4, 5]}
figure:
  label: Toys
  metric: toy
  level: 100
  views:
    - {name: line, kind: curve, x: n, panels: [a]}
    - {name: share, kind: success, panels: [a]}
    - {name: law, kind: scaling, panels: [a]}
    - {name: words, kind: table, panels: [b]}
    - {name: map, kind: heatmap, panels: [b]}
claims:
  - {name: small, says: The error is small., measure: mean, method: iht, at_most: 100, where: panel=b}
  - {name: n, says: Few samples do., measure: threshold_n, method: iht, level: 100, at_most: 20, where: panel=a}
"""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register the toy metric, with some facts replaced, and have the planted task name it."""
    build = Planted.build

    def named(self: Planted, *args: Any) -> Problem:
        return dataclasses.replace(build(self, *args), metric="toy")

    def register(**changes: Any) -> None:
        monkeypatch.setitem(METRICS, "toy", dataclasses.replace(TOY, **changes))

    monkeypatch.setattr(Planted, "build", named)
    register()
    return register


def rows_of(folder: str = "results") -> list[Row]:
    return read_csv(Path(folder, "toys.csv"))


FIT = ("fit", "--method", "iht", "--task", "planted", *("--m", 2, "--s", 4, "--n", 40, "--d", 6), "--json")


def test_a_fit_is_scored_by_its_entry(mlpiht: Run, toy: Callable[..., None]) -> None:
    row = mlpiht(*FIT).json
    assert (row["metric"], row["status"], row["reason"], row["exact"]) == ("toy", "ok", "", False)
    assert row["value"] > 0
    assert (row["psnr"], row["accuracy"]) == (None, None)
    toy(exact=row["value"])
    assert mlpiht(*FIT).json["exact"] is True, "the level itself is exact"
    toy(exact=row["value"] * 0.99)
    assert mlpiht(*FIT).json["exact"] is False
    toy(exact=row["value"] * 0.99, falling=False)
    assert mlpiht(*FIT).json["exact"] is True, "more is better now"
    toy(score=lambda _: None)
    undefined = mlpiht(*FIT).json
    assert (undefined["value"], undefined["reason"]) == (None, "toy is undefined: nobody measured it")


def test_figures_show_what_the_entry_says(mlpiht: Run, toy: Callable[..., None]) -> None:
    Path("toys.yaml").write_text(SPEC)
    assert mlpiht("sweep", "toys").code == 0
    drawn = mlpiht("plot", "toys")
    assert (drawn.code, len(drawn.out.splitlines())) == (0, 10)
    line, share, law, words, map_ = figure_tables("toys", "paper", Path("results"))
    (axes,) = FIGURES["curve"](line, Look()).axes
    assert (axes.get_ylabel(), axes.get_ylim()) == ("error of the labels (u)", (0.0, 7.0))
    (axes,) = FIGURES["success"](share, Look()).axes
    assert axes.get_ylabel() == "share of seeds with error of the labels (u) ≤ 100"
    assert list(axes.lines[0].get_ydata()) == [1.0, 1.0, 1.0]
    (axes,) = FIGURES["scaling"](law, Look()).axes
    assert axes.get_ylabel() == "samples n* with error of the labels (u) ≤ 100"
    found = [finite_number(row) for row in rows_of() if row.panel == "b" and (row.m, row.s) == (2, 4)]
    assert f"| {sum(found) / 2:.3f} |" in markdown(words)
    bar = FIGURES["heatmap"](map_, Look()).axes[-1]
    assert (bar.get_ylabel(), bar.get_ylim()) == ("error of the labels (u)", (0.0, 7.0))
    assert bar._colorbar.extend == "min"
    toy(falling=False, bounded=False, limits=None)
    line, share, *_, map_ = figure_tables("toys", "paper", Path("results"))
    assert [panel.limits for panel in line.panels] == [None]
    assert list(FIGURES["success"](share, Look()).axes[0].lines[0].get_ydata()) == [0.0, 0.0, 0.0]
    assert FIGURES["heatmap"](map_, Look()).axes[-1]._colorbar.extend == "both"
    Path("b.csv").write_text(to_csv(row for row in rows_of() if row.panel == "b"))
    plain = mlpiht("plot", "b.csv")
    assert plain.code == 0, plain.err


def test_a_figure_refuses_rows_without_a_metric_that_all_must_have(toy: Callable[..., None], tmp_path: Path) -> None:
    base = {"task": "t", "method": "iht", "depth": 1, "m": 1, "s": 1, "params": {}, "status": "ok", "spec": "x"}
    scored = {**base, "seed": 0, "cell": "c0", "metric": "toy", "value": 1.0}
    other = {**base, "seed": 1, "cell": "c1", "metric": "r2", "value": 1.0}
    (tmp_path / "x.csv").write_text(to_csv([Row(**scored), Row(**other)]))
    with pytest.raises(InputError, match="the figure shows toy, but the rows of panel '' have r2"):
        figure_tables(str(tmp_path / "x.csv"), "paper", tmp_path)
    toy(always=False)
    assert len(figure_tables(str(tmp_path / "x.csv"), "paper", tmp_path)) == 1


def test_planted_neurons_are_matched_unless_the_metric_is_of_linear_models(
    mlpiht: Run, toy: Callable[..., None]
) -> None:
    assert "merged_f1" in mlpiht(*FIT).json["measures"]
    toy(linear=True)
    assert "merged_f1" not in mlpiht(*FIT).json["measures"]


def test_claims_and_comparisons_go_by_the_entry(mlpiht: Run, toy: Callable[..., None]) -> None:
    Path("toys.yaml").write_text(SPEC)
    mlpiht("sweep", "toys")
    rows = [row for row in rows_of() if row.panel == "b"]
    assert all(map(intact, rows))
    assert not intact(rows[0].model_copy(update={"psnr": rows[0].value})), "rows of the toy have no second column"
    small, least = mlpiht("check", "toys", "--json").json["claims"]
    values = [row.value for row in rows if row.value is not None]
    assert small["measured"] == pytest.approx(sum(values) / 8)
    assert (small["verdict"], least["verdict"], least["measured"]) == ("holds", "holds", 20)
    toy(falling=False)
    assert mlpiht("check", "toys", "--json").json["claims"][1]["verdict"] == "fails", "no error is as high as that"

    def compared(shift: float, *more: object) -> int:
        lines = [f"iht,{r.m},{r.s},{r.seed},{(r.value or 0) + shift}" for r in rows]
        Path("theirs.csv").write_text("\n".join(["method,m,s,seed,toy_u", *lines]))
        return mlpiht("check", "toys", "--reference", "theirs.csv", "--only", "panel=b", *more).code

    toy()
    assert (compared(0.24), compared(0.26), compared(0.26, "--tolerance", 0.3)) == (0, 1, 0)
    toy(tolerance=Tolerance(absolute=0.2))
    assert compared(0.24) == 1
    toy(exact=100.0)
    assert compared(0.0) == 1, "the rows say that they are not exact"


def test_values_are_close_within_the_tolerance_the_noise_or_exact_recovery() -> None:
    toy = dataclasses.replace(TOY, exact=1.0)
    assert (toy.close(2.0, 2.25), toy.close(2.0, 2.26), toy.close(2.0, 2.26, noise=0.3)) == (True, False, True)
    assert (toy.close(2.0, 2.2, size=0.1), toy.close(0.1, 0.9)) == (False, False)
    alike = dataclasses.replace(toy, tolerance=Tolerance(absolute=0.25, exact_alike=True))
    assert (alike.close(0.1, 0.9), alike.close(0.9, 1.1), alike.close(0.1, 1.1)) == (True, True, False)
    share = dataclasses.replace(toy, tolerance=Tolerance(relative=0.1, floor=5.0))
    assert (share.close(2.4, 2.0), share.close(2.6, 2.0), share.close(22.0, 20.0)) == (True, False, True)
    infinite = float("inf")
    assert (toy.close(infinite, infinite), toy.close(infinite, 2.0), toy.close(2.0, infinite)) == (True, False, False)


def test_an_infinite_value_counts_as_its_entry_says(toy: Callable[..., None]) -> None:
    base = {"cell": "c", "task": "t", "method": "iht", "depth": 1, "m": 1, "s": 1, "seed": 0, "params": {}}
    row = Row(**base, status="ok", metric="toy", value=float("inf"), measures={"other": float("inf")})
    assert (recorded(row), number(row), finite_number(row)) == (float("inf"), 9.0, 9.0)
    assert (number(row, "other"), finite_number(row, "other"), number(row, "psnr")) == (float("inf"), None, None)
    toy(perfect=None)
    assert (number(row), finite_number(row)) == (float("inf"), None)


def test_every_entry_is_whole() -> None:
    fields = {field.name for field in dataclasses.fields(Scores)}
    for name, one in METRICS.items():
        assert one.label, name
        assert one.column == (name in Row.model_fields) == (name in SCORES), name
        assert one.within is None or METRICS[one.within].column, name
        assert one.exact is None or one.is_exact(one.exact), name
        assert one.perfect is None or one.is_exact(one.perfect), name
    for name, one in task_metrics().items():
        assert one.always, "rows of a task have its metric"
        assert one.limits is not None, name
        assert not one.column or name in fields, "the value has a column of its own"
    assert metric("my_measure") == Metric("my measure")


def test_a_score_that_nothing_computes_is_no_metric_of_a_task() -> None:
    problem = dataclasses.replace(toy_problem(), metric="nnz")
    with pytest.raises(ValueError, match="a task cannot have the metric nnz"):
        evaluate(toy_model(), problem)


def toy_problem() -> Problem:
    x = torch.ones(2, 1)
    return Problem(x, x, x, x, "psnr", peak=1.0)


def toy_model() -> Any:
    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.linalg.sparse import SparseMatrix

    return SparseMLP((SparseMatrix.from_dense(torch.ones(1, 1)),))


def test_the_table_loads_without_torch() -> None:
    code = (
        "import sys, mlpiht_cli.core.metric, mlpiht_cli.analysis.scores; "
        "print({'torch', 'numba', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
