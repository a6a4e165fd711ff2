from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mlpiht_cli import plan
from mlpiht_cli.analysis.tables import given_settings
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.baselines.mlp import MLP
from mlpiht_cli.core.table_settings import TABLE_HINTS
from mlpiht_cli.engine.runner import row_of
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan.cells import jobs
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.records.table import PROFILES
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.filters import parse_only
from mlpiht_cli.specs.find import find_spec, names, shipped
from mlpiht_cli.specs.point import Point
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.tasks.planted import Planted

# Cells in the paper profile (protocol, section 4).
FIGURES = [978, 978, 690, 756, 864]
PAPER_CELLS = {f"figure{i}": FIGURES[(i - 1) % 5] for i in range(1, 11)}
PAPER_CELLS |= {"table1": 9 * 10, "table2": 9 * 10, "gaussian": 3 * 8 * 5, "smoke": 4 * 5 * 2 * 2}
# 10 splits, 11 budgets: 40 starts, dense, exhaustive; two panels of estimates; 9 lengths of run.
PAPER_CELLS |= {"iris": 10 * 11 * (40 + 1 + 1) + 2 * 3 * (5 * 2 * 10 + 2) + 9 * 3 * 10}
PAPER_CELLS |= {"imp_protocol": (3 * 6 * 2 + 4) * 4 * 3, "vector_steps": (2 * 4 * 5 + 3 * 2) * 4 * 3}
PAPER_CELLS |= {"tables": 10 * 12 * 2 * 5}  # tables, methods, splits
PAPER_CELLS |= {"beyond_zero": (2 * 4 * 7 + 4 * 5) * 3 * 3}
# Curves, n* against d (two methods and one step), s = d^a at four d each, two directions; eight seeds.
PAPER_CELLS |= {"index_models": ((6 + 6 + 3) * 10 + 5 * 13 * 2 + 4 * 11 + (39 + 39 + 41) * 2 + 2 * 4 * 7) * 8}
PAPER_CELLS |= {
    "recovery": 2 * 3 * 10 * 10 + 10 * 8 * 8 + 3 * 2 * 2 * 8 + 2 * 2,
    "recovery_vector": 2 * 3 * 10 * 10 + 10 * 10 * 8 + 3 * 10 * 2,
    "phase_transition": 3 * 3 * 7 * 20,
}
PAPER_CELLS |= {"recovery_real": 2 * 3 * 3 * 4 * 3, "recovery_noise": 2 * 2 * 3 * 10}
PAPER_CELLS |= {
    "recovery_inputs": 4 * (10 * 6 + 10 * 3 + 2 * 3 * 6) + 2 * 3 * 6 * 20 + 8 * 10,
    "recovery_deep": 3 * 3 * 9 * 7 + 10 * 5 * 4,
}
# Eigenvalues (pairs; against n, m and s; own supports; the map), rates, then 13 inputs and other questions.
_MEASURED = 8 * 3 + (7 * 2 + 7 * 2 + 10) * 3 + 3 * 2 * 20 + 10 * 10 + 2 * (3 + 18) * 3 + 11 * 3
PAPER_CELLS |= {"theory": _MEASURED + 7 * 20 + 2 * 3 * 5 * 10 + 10 * 5 + 4 * 3 * 20 + 13 * 5 * 20}
# Planted networks (20 seeds at four places, five at seven), digits 0 and 1, an image, ten outputs; ten digits.
PAPER_CELLS |= {"rivals": 16 * (4 * 20 + 7 * 5 + 2 * 4 * 5 + 4 * 3 + 4 * 5) + 15 * (3 + 1) * 5}
# Ones and normal entries at three s, noise, an index model; eight methods.
PAPER_CELLS |= {"rivals_linear": (2 * (9 + 8 + 8) + 2 * 7 + 8 + 2) * 8 * 20}
PAPER_CELLS |= {"theory_mnist": 3 * (5 * 20 + 6 * 3)}


@pytest.mark.parametrize("name", names())
def test_shipped_specs_are_valid_and_shrink(name: str) -> None:
    experiment = plan.load(find_spec(name))
    counts = {profile: len(experiment.cells(profile)) for profile in ("smoke", "laptop", "paper")}
    assert experiment.spec.name == name
    assert set(experiment.spec.profiles) == {"smoke", "laptop", "paper"}
    assert counts["smoke"] <= counts["laptop"] <= counts["paper"]
    assert counts["paper"] == PAPER_CELLS[name]
    panels = {profile: {cell.point.panel for cell in experiment.cells(profile)} for profile in counts}
    assert panels["smoke"] == panels["laptop"] == panels["paper"], "every profile shows every panel"


def test_shipped_specs_are_those_of_the_repository() -> None:
    assert shipped() == Path(__file__).resolve().parents[2] / "experiments"


def test_keys_are_distinct_and_pinned() -> None:
    """A key is a hash of all resolved fields and versions; if it changes, every user's records are orphaned."""
    experiment = plan.load(find_spec("figure1"))
    cells = experiment.cells("paper")
    assert len({cell.key for cell in cells}) == len(cells) == 978
    chosen = {
        c.point.method: c.key for c in cells if (c.point.m, c.point.s, c.point.seed, c.point.depth) == (10, 20, 0, 1)
    }
    assert chosen == {"iht": "d03316dd1e62fd70c9bc", "imp": "b857a33adc3fb1dfe167"}


def test_defaults_written_out_do_not_change_the_key() -> None:
    def key(**sets: object) -> str:
        point = Point("", "planted", "iht", 1, 5, 5, 0)
        return plan.single_cell(point, sets).key

    assert key() == key(**{"method.steps": 15, "task.n": 50_000, "task.clip_budget": True})
    assert len({key(), key(**{"method.steps": 16}), key(**{"task.n": 100}), key(**{"method.gates": "fixed"})}) == 4


def test_profiles_shrink_grids_and_settings(tmp_path: Path, tiny_spec: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    experiment = plan.load(tmp_path / "tiny.yaml")
    assert [p.m for p in expand(experiment.spec, "smoke").points] == [2] * 8
    assert {cell.task.n for cell in experiment.cells("smoke")} == {40}
    with pytest.raises(InputError, match="no profile 'laptop'"):
        expand(experiment.spec, "laptop")


def test_a_profile_is_expanded_once_and_its_objects_are_made_once(tmp_path: Path, tiny_spec: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    experiment = plan.load(tmp_path / "tiny.yaml")
    assert experiment.cells("smoke") is experiment.cells("smoke")
    assert experiment.plan("smoke").expansion is experiment.draft.expansion("smoke")
    made = {id(cell.method) for cell in experiment.cells("paper")} | {
        id(cell.task) for cell in experiment.cells("paper")
    }
    assert len(made) == 3, "one task and two methods"
    assert experiment.draft.expansion("paper").total == len(experiment.cells("paper")) == 16


def test_a_spec_without_profiles_runs_without_one(tmp_path: Path, tiny_spec: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec[: tiny_spec.index("profiles:")])
    experiment = plan.load(tmp_path / "tiny.yaml")
    assert len(experiment.cells("paper")) == 16
    with pytest.raises(InputError, match="no profile 'smoke': it has no profiles and runs without --profile"):
        experiment.cells("smoke")


def test_a_method_may_be_run_with_some_seeds_alone(tmp_path: Path, tiny_spec: str) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_spec.replace("name: imp, ", "name: imp, seeds: [1], "))
    experiment = plan.load(path)
    points = expand(experiment.spec).points
    seeds = {method: {p.seed for p in points if p.method == method} for method in ("iht", "imp")}
    assert seeds == {"iht": {0, 1}, "imp": {1}}
    assert len(experiment.cells("paper")) == 8 + 4
    assert "seeds" not in experiment.cells("paper")[-1].params["method"]


def test_seeds_of_a_method_that_are_not_run_are_refused(tmp_path: Path, tiny_spec: str) -> None:
    path = tmp_path / "tiny.yaml"
    text = tiny_spec.replace("name: imp, ", "name: imp, seeds: [1, 7], ").replace(
        "smoke: {m: [2]", "smoke: {seeds: [0], m: [2]"
    )
    path.write_text(text.replace("name: planted, ", "name: planted, seeds: [1], "))
    with pytest.raises(InputError) as error:
        plan.load(path)
    assert "tiny.yaml:8:17: methods[1].seeds: 7 is not among the seeds of panel 'a'" in str(error.value)
    assert "profiles.smoke.seeds: leaves 'imp' of panel 'a' without any seed" in str(error.value)
    assert "task.seeds: a task has no seeds" in str(error.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("method=iht", 8),
        ("m<3", 8),
        ("m<=3,s=5", 8),
        ("method!=imp, seed=0", 4),
        ("seed=0|1,m=3|2", 16),
        ("panel=a", 16),
        ("m>3", 0),
        ("s!=2|5", 0),
    ],
)
def test_filters(tmp_path: Path, tiny_spec: str, text: str, count: int) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    wanted, expansion = parse_only(text), expand(load_spec(tmp_path / "tiny.yaml"))
    assert sum(wanted.admits(point) for point in expansion.points) == count
    assert sum(part.total for part in wanted.parts(expansion)) == count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width=3", "unknown field 'width'"),
        ("m=x", "not a number"),
        ("m=" + "9" * 5000, "not a number of at most 18 digits"),
        ("m=٣", "not a number"),
        ("method<iht", "use = or !="),
        ("m", "cannot read 'm'"),
        (" , ", "is empty"),
        ("seeds=1", "did you mean 'seed'"),
    ],
)
def test_bad_filters_are_explained(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_only(text)


def test_jobs_share_a_trajectory_where_the_data_allow_it() -> None:
    planted = plan.load(find_spec("figure1"))
    assert all(len(job.cells) == 1 for job in jobs(planted.cells("smoke"))), "planted data depend on s"
    mnist = plan.load(find_spec("figure3"))
    every = jobs(mnist.cells("paper"))
    sizes = {(job.first.point.panel, job.first.point.method): len(job.cells) for job in every}
    assert sizes == {("binary", "iht"): 1, ("binary", "imp"): 8, ("ten", "iht_vector"): 1, ("ten", "imp"): 5}
    assert len(every) == 10 * 3 * (8 + 1) + 7 * 3 * (5 + 1)


@pytest.mark.parametrize("number", range(1, 6))
def test_the_spread_figures_are_the_same_cells(number: int) -> None:
    """Figures 6 to 10 run nothing of their own: their keys are those of Figures 1 to 5."""
    pair = [plan.load(find_spec(f"figure{i}")) for i in (number, number + 5)]
    for profile in ("smoke", "laptop", "paper"):
        mean, spread = (experiment.cells(profile) for experiment in pair)
        assert [cell.key for cell in mean] == [cell.key for cell in spread]
        assert {(cell.spec, cell.base) for cell in spread} == {(f"figure{number + 5}", f"figure{number}")}


def test_jobs_with_the_same_data_are_neighbours() -> None:
    experiment = plan.load(find_spec("figure1"))
    keys = [job.first.data_key for job in jobs(experiment.cells("smoke"))]
    changes = sum(a != b for a, b in pairwise(keys))
    assert changes == len(set(keys)) - 1


def test_a_tasks_hints_are_defaults_that_a_method_may_not_take() -> None:
    point = Point("", "inr_mnist", "iht", 1, 5, 5, 0)
    assert plan.single_cell(point, {}).method.dtype == "float64"
    assert plan.single_cell(point, {"method.dtype": "float32"}).method.dtype == "float32"
    assert plan.single_cell(replace(point, method="imp"), {}).method.dtype == "float32", "as the reference trains"


def test_a_hint_with_a_dot_is_for_one_method_and_wins_over_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    hints = {"epochs": 7, "imp.epochs": 50, "imp.dtype": "float64", "dtype": "float64", "nothing.epochs": 9}
    monkeypatch.setattr(Planted, "hints", hints)
    made = {
        name: plan.single_cell(Point("", "planted", name, 1, 5, 5, 0), {}).method
        for name in ("imp", "imp_fused", "mlp")
    }
    assert {name: method.epochs for name, method in made.items()} == {"imp": 50, "imp_fused": 7, "mlp": 7}
    assert (made["imp"].dtype, made["imp_fused"].dtype) == ("float64", "float32"), "only a hint for it alone is taken"
    over = plan.single_cell(Point("", "planted", "imp", 1, 5, 5, 0), {"method.epochs": 3}).method
    assert over.epochs == 3


def test_the_hints_of_tables_reach_the_methods_that_they_name() -> None:
    table = {"task.table": "diabetes"}
    imp, fused, dense, plain = (
        plan.single_cell(Point("", "table", name, 1, 5, 5, 0), table).method
        for name in ("imp", "imp_fused", "dense", "mlp")
    )
    assert imp.evaluate == fused.evaluate == "after_retrain"
    assert imp.epochs == fused.epochs > dense.epochs > IMP().epochs
    assert plain == MLP(starts=10), "its own defaults train on tables"
    own = [name.split(".") for name in TABLE_HINTS if "." in name]
    assert all(field in METHODS[method].model_fields for method, field in own)


def test_labels_that_a_profile_makes_the_same_method_are_refused(tmp_path: Path, tiny_spec: str) -> None:
    path = tmp_path / "tiny.yaml"
    text = tiny_spec.replace("name: imp, epochs: 2", "name: iht, label: short, steps: 3")
    path.write_text(text)
    plan.load(path)
    path.write_text(text.replace("task.n: 40", "method.steps: 2"))
    with pytest.raises(InputError, match=r"panels\[0\].*'iht' and 'short' are the same method in profile smoke"):
        plan.load(path)


BORROWED = {
    "nothing": r"b\.yaml:5:1: cells_of: no spec 'nothing'",
    "tiny.yaml": r"b\.yaml:5:1: cells_of: give the bare name, 'tiny'",
    "b": r"b\.yaml:5:1: cells_of: 'b' has no cells of its own",
    "faulty": r"faulty\.yaml:12:5: panels\[0\]\.m: the grid is empty",
}


@pytest.mark.parametrize("name", BORROWED)
def test_cells_that_cannot_be_borrowed_are_placed(tmp_path: Path, tiny_spec: str, name: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    (tmp_path / "faulty.yaml").write_text(tiny_spec.replace("m: [2, 3]", "m: []"))
    text = "spec_version: 1\nname: b\ntitle: B\nsource: test\ncells_of: {}\nfigure: {{label: B}}\n"
    (tmp_path / "b.yaml").write_text(text.format("tiny"))
    plan.load(tmp_path / "b.yaml")
    (tmp_path / "b.yaml").write_text(text.format(name))
    with pytest.raises(InputError, match=BORROWED[name]):
        plan.load(tmp_path / "b.yaml")


SOURCES = {
    "nothing": r"methods\[0\]\.rows_of: no spec 'nothing'",
    "figure1.yaml": r"methods\[0\]\.rows_of: give the bare name, 'figure1'",
    "tiny": r"methods\[0\]\.rows_of: 'tiny' is this spec; leave it out",
}


@pytest.mark.parametrize("name", SOURCES)
def test_specs_that_methods_have_their_rows_in_are_checked(tmp_path: Path, tiny_spec: str, name: str) -> None:
    path = tmp_path / "tiny.yaml"
    other = "methods:\n  - {name: iht_vector, rows_of: figure1}"
    path.write_text(tiny_spec.replace("methods:", other))
    experiment = plan.load(path)
    assert {cell.point.method for cell in experiment.cells("paper")} == {"iht", "imp"}, "iht_vector does not run here"
    assert experiment.draft.expansion().grids[0].labels == ["iht_vector", "iht", "imp"]
    path.write_text(tiny_spec.replace("methods:", other.replace("figure1", name)))
    with pytest.raises(InputError, match=SOURCES[name]):
        plan.load(path)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", names())
def test_every_cell_of_a_shipped_spec_is_under_its_label(name: str, profile: str) -> None:
    """What `sweep` records, `plot` and `check` find again, whatever a profile sets."""
    experiment = plan.load(find_spec(name))
    told = given_settings(experiment.draft.expansion(profile))
    for cell in experiment.cells(profile):
        assert told[cell.point.panel, cell.point.label].fit(row_of(cell, {"status": "skipped"})), cell.point


def test_a_profiles_epochs_are_the_steps_of_a_full_batch() -> None:
    told = given_settings(expand(load_spec(find_spec("figure5")), "laptop"))
    assert told["depth1", "iht"].method == {"steps": 50}
    assert told["depth1", "imp"].method == {"epochs": 50}
