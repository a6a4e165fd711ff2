"""Tables compared with references."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hand import broken, drawn, row

from mlpiht_cli.checks.reference import Mode, compare
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import COLUMNS, to_csv

PLAIN = "method,m,s,seed,psnr_db\n"


def against(rows: list[Row], text: str, mode: Mode = "close", tolerance: float | None = None) -> tuple[int, int, int]:
    path = Path("reference.csv")
    path.write_text(text)
    found = compare(rows, path, mode, tolerance)
    assert found.ok == (not found.different and not found.missing)
    return found.equal, len(found.different), len(found.missing)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_close_has_a_tolerance_and_takes_exact_recoveries_for_equal() -> None:
    rows = [row("iht", 2, 10, 0, 20.0), row("iht", 2, 10, 1, 160.0)]
    assert against(rows, PLAIN + "iht,2,10,0,20.49\niht,2,10,1,101\n") == (2, 0, 0)
    assert against(rows, PLAIN + "iht,2,10,0,20.51\niht,2,10,1,99\n") == (0, 2, 0)
    assert against(rows, PLAIN + "iht,2,10,0,20.51\niht,3,10,0,1\n", tolerance=0.6) == (1, 0, 1)
    wide = [row("iht", 2, 10, 0, 0.9, metric="accuracy", accuracy=0.9, psnr=None)]
    head = "task,method,m,s,seed,metric,value\n"
    assert against(wide, head + "planted,iht,2,10,0,accuracy,0.9049\n") == (1, 0, 0)
    assert against(wide, head + "planted,iht,2,10,0,accuracy,0.906\n") == (0, 1, 0)
    assert against(wide, head + "planted,iht,2,10,0,psnr,0.9\n") == (0, 1, 0)
    assert against(wide, head + "mnist,iht,2,10,0,accuracy,0.9\n") == (0, 0, 1)


def test_what_a_reference_has_of_rows_left_out_is_not_missing() -> None:
    rows, others = [row("iht", 2, 10, 0, 20.0)], [row("iht", 3, 10, 0, 20.0), row("imp", 3, 10, 0, 5.0)]
    Path("reference.csv").write_text(PLAIN + "iht,2,10,0,20\niht,3,10,0,99\niht,4,10,0,20\n")
    for mode in ("close", "stat"):
        found = compare(rows, Path("reference.csv"), mode, None, others)
        assert (found.equal, found.different, [one.where["m"] for one in found.missing]) == (1, [], [4])


@pytest.mark.parametrize(
    ("metric", "value", "near", "far"),
    [
        ("r2", 0.0001, 0.001, 0.0012),
        ("r2", -40.0, -40.03, -40.05),
        ("relative_error", 1e-8, 5e-7, 2e-6),
        ("relative_error", 0.5, 0.5004, 0.501),
    ],
)
def test_close_to_a_small_value_is_close_by_the_metrics_unit(
    metric: str, value: float, near: float, far: float
) -> None:
    rows = [row("iht", 2, 10, 0, value, metric=metric, psnr=None, measures={metric: value})]
    head = f"task,method,m,s,seed,metric,value\nplanted,iht,2,10,0,{metric},"
    assert against(rows, f"{head}{near}\n") == (1, 0, 0)
    assert against(rows, f"{head}{far}\n") == (0, 1, 0)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_metric_may_be_any_word(name: str) -> None:
    """A column that is no score is no value, whatever it holds."""
    text = f"task,method,m,s,seed,metric,value\nplanted,iht,2,10,0,{name},77\n"
    assert against([row("iht", 2, 10, 0, 1.0)], text) == (0, 1, 0)


def test_nan_in_a_reference_is_a_divergence() -> None:
    rows = broken([row("iht", 2, 10, 0, 1.0)], "iht")
    assert against(rows, PLAIN + "iht,2,10,0,nan\n") == (1, 0, 0)
    assert against(rows, PLAIN + "iht,2,10,0,3\n") == (0, 1, 0)
    assert against([row("iht", 2, 10, 0, 1.0)], PLAIN + "iht,2,10,0,nan\n") == (0, 1, 0)
    assert against(rows, PLAIN + "iht,2,10,0,nan\n", "exact") == (1, 0, 0)


def test_exact_compares_tables_of_ours() -> None:
    rows = broken(drawn(), "imp", "skipped", m=5)
    same = to_csv(rows)
    assert against(rows, same, "exact") == (36, 0, 0)
    nudged = [r.model_copy(update={"value": r.value + 1e-6, "psnr": r.value + 1e-6}) for r in rows[:2]]
    assert against([*nudged, *rows[2:]], same, "exact") == (34, 2, 0)
    assert against([*nudged, *rows[2:]], same, "close") == (36, 0, 0)
    assert against(rows[2:], same, "exact") == (34, 0, 2)
    assert against(broken(rows, "imp", "failed", m=5), same, "exact") == (30, 6, 0)
    assert against([row("iht", 2, 10, 0, 160.0)], PLAIN + "iht,2,10,0,161\n", "exact") == (0, 1, 0)
    doctored = [rows[0].model_copy(update={"psnr": 99.0}), *rows[1:]]
    assert against(doctored, same, "exact") == (35, 1, 0)
    assert compare(rows, Path("reference.csv"), "exact").extra == 0


def test_stat_compares_means_over_the_seeds() -> None:
    rows = [row("iht", 2, 10, seed, value) for seed, value in enumerate([30.0, 34.0, 38.0])]
    slack = 3 * math.sqrt(2 * 16 / 3)

    def reference(shift: float) -> str:
        return PLAIN + "".join(f"iht,2,10,{7 + i},{value + shift}\n" for i, value in enumerate((30, 34, 38)))

    assert against(rows, reference(slack - 0.01), "stat") == (1, 0, 0)
    assert against(rows, reference(slack + 0.01), "stat") == (0, 1, 0)
    assert against(rows, reference(slack + 0.01), "stat", tolerance=30) == (1, 0, 0)
    assert against(rows, PLAIN + "iht,2,10,0,34.4\n", "stat") == (1, 0, 0)
    assert against(broken(rows, "iht", seed=1), reference(0), "stat") == (0, 1, 0)
    assert against(broken(rows, "iht", seed=1), reference(0) + "iht,2,10,0,nan\n", "stat") == (1, 0, 0)
    assert against(rows, PLAIN + "iht,3,10,0,34.4\n", "stat") == (0, 0, 1)


def test_iht_vector_stands_for_iht_where_there_is_none() -> None:
    vector = row("iht_vector", 2, 10, 0, 5.0)
    assert against([vector], PLAIN + "iht,2,10,0,5\n") == (1, 0, 0)
    assert against([vector, row("iht", 2, 10, 0, 9.0)], PLAIN + "iht,2,10,0,9\n") == (1, 0, 0)


def test_references_that_cannot_be_used() -> None:
    two = [row("iht", 2, 10, 0, 5.0), row("iht", 2, 10, 0, 6.0, panel="b", depth=2)]
    with pytest.raises(InputError, match="fits 2 of our rows; choose ours with --only, as panel=a or panel=b"):
        against(two, PLAIN + "iht,2,10,0,5\n")
    with pytest.raises(InputError, match="--mode stat"):
        against(drawn(), "method,m,s,psnr\niht,2,10,5\n")
    for text in (PLAIN, "a,b\n1,2\n", "method,m,s,seed\niht,1,1,0\n", PLAIN + "iht,x,10,0,5\n", PLAIN + "iht,2\n"):
        with pytest.raises(InputError, match=r"reference\.csv"):
            against(two, text)


def test_a_reference_has_each_place_once_and_objects_for_params() -> None:
    rows = [row("iht", 2, 10, 0, 5.0)]
    with pytest.raises(InputError, match="row 3: the same place as row 2"):
        against(rows, PLAIN + "iht,2,10,0,5\niht,2,10,0,6\n")
    with pytest.raises(InputError, match="row 3: the same place as row 2"):
        against(rows, PLAIN + "iht,2,10,0,5\niht,2,10,0,6\n", "stat")
    assert against(rows, "method,m,s,psnr\niht,2,10,4\niht,2,10,6\n", "stat") == (1, 0, 0), "seeds without a name"
    with pytest.raises(InputError, match="row 2: params is no JSON object"):
        against(rows, "method,m,s,seed,params,psnr\niht,2,10,0,[],5\n")


def test_variants_of_a_method_are_told_apart_by_their_settings() -> None:
    variants = [
        row("iht", 2, 10, 0, float(steps), cell=f"c{steps}", params={"task": {}, "method": {"steps": steps}})
        for steps in (4, 8)
    ]
    assert against(variants, to_csv(variants), "exact") == (2, 0, 0)
    assert against(variants, to_csv(variants), "stat") == (2, 0, 0)


@pytest.mark.parametrize("mode", ["close", "stat"])
def test_every_metric_of_a_reference_is_compared(mode: Mode) -> None:
    rows = [
        row("iht", 2, 10, seed, 0.9, metric="accuracy", accuracy=0.9, psnr=None, measures={"r2": 0.5})
        for seed in (0, 1)
    ]
    head = "method,m,s,seed,accuracy,r2\n"
    count = 1 if mode == "stat" else 2
    assert against(rows, head + "iht,2,10,0,.9,.5\niht,2,10,1,.9,.5\n", mode) == (2 * count, 0, 0)
    assert against(rows, head + "iht,2,10,0,.9,.1\niht,2,10,1,.9,.1\n", mode) == (count, count, 0)
    assert against(rows, head + "iht,2,10,0,.9,\niht,2,10,1,.9,\n", mode) == (count, 0, 0)
    long = "method,m,s,seed,metric,value\n"
    lines = "".join(f"iht,2,10,{seed},accuracy,.9\niht,2,10,{seed},r2,.1\n" for seed in (0, 1))
    assert against(rows, long + lines, mode) == (count, count, 0)
    with pytest.raises(InputError, match="columns 'psnr_db' and 'psnr' are one metric"):
        against(rows, "method,m,s,psnr_db,psnr\niht,2,10,1,1\n", mode)


@pytest.mark.parametrize(
    ("columns", "left"),
    [
        ("psnr,mse", "column mse"),
        ("psnr,support_f1,nnz", "columns support_f1, nnz"),  # scores of a row, but no metric of a task
        ("noise,psnr", "column noise"),  # a setting, by which nothing is matched
        ("metric,value,accuracy", "column accuracy"),
        ("psnr,Accuracy", "column Accuracy"),
        ("psnr,accuracy", ""),
        ("psnr,params,status", ""),
    ],
)
def test_columns_that_are_not_compared_are_named(caplog: pytest.LogCaptureFixture, columns: str, left: str) -> None:
    values = {"metric": "psnr", "params": "", "status": "ok", "accuracy": ""}
    line = ",".join(values.get(name, "20") for name in columns.split(","))
    assert against([row("iht", 2, 10, 0, 20.0)], f"method,m,s,seed,{columns}\niht,2,10,0,{line}\n")[0] == 1
    assert caplog.text.count("not compared") == bool(left)
    assert f"reference.csv: not compared: {left};" in caplog.text or not left
    caplog.clear()
    against([row("iht", 2, 10, 0, 20.0)], to_csv([row("iht", 2, 10, 0, 20.0)]))
    assert caplog.text == "", "the columns of a results table are known"


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ({"task": {"noise": 0.5}}, "task.noise"),
        ({"task": {"noise": 0.0}}, ""),  # the default of rows without it
        ({"task": {"n": 7, "version": 3}, "method": {"steps": 3}}, "steps, task.n"),
        ({"task": {"n": 9, "unknown": 3}}, ""),
    ],
)
def test_other_settings_of_a_reference_are_named(
    caplog: pytest.LogCaptureFixture, theirs: dict[str, object], named: str
) -> None:
    made = {"task": {"n": 9, "version": 2}, "method": {"steps": 4}}
    ours = row("iht", 2, 10, 0, 20.0).model_copy(update={"params": made})
    assert against([ours], to_csv([ours.model_copy(update={"params": theirs})])) == (1, 0, 0)
    told = f"reference.csv: its rows were made with other settings than ours: {named}"
    assert (told in caplog.text) is bool(named)


def test_means_of_different_seeds_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    rows = [row("iht", 2, 10, seed, 20.0) for seed in (0, 1)]
    against(rows, PLAIN + "iht,2,10,0,20\niht,2,10,1,20\n", mode="stat")
    assert caplog.text == ""
    against(rows, PLAIN + "iht,2,10,0,20\niht,2,10,7,20\n", mode="stat")
    assert "reference.csv: means of different seeds are compared: 1, 7 are on one side alone" in caplog.text


def test_data_that_one_side_alone_names_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    plain = row("iht", 2, 10, 0, 20.0).model_copy(update={"params": {"task": {}, "method": {}}})
    own = plain.model_copy(update={"params": {**plain.params, "data": {"unofficial_x": "ab"}}})
    for ours, theirs in ((plain, own), (own, plain)):
        caplog.clear()
        assert against([ours], to_csv([theirs])) == (1, 0, 0)
        assert "made with other settings than ours: data.unofficial_x" in caplog.text


@pytest.mark.parametrize("head", ["method,m,s,seed,psnr,psnr", "method,m,s,s,psnr,seed"])
def test_a_column_that_is_there_twice_is_refused(head: str) -> None:
    with pytest.raises(InputError, match=r"reference.csv: two columns are called '(psnr|s)'; rename or delete one"):
        against([row("iht", 2, 10, 0, 20.0)], f"{head}\niht,2,10,0,20,20\n")


def test_a_row_of_ours_that_is_there_twice_is_named() -> None:
    with pytest.raises(InputError, match="fits 2 of our rows; they are one cell; keep one of them"):
        against([row("iht", 2, 10, 0, 20.0)] * 2, PLAIN + "iht,2,10,0,20\n")
