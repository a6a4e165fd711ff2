from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import file_bytes
from mlpiht_cli.tables.recipe import Recipe
from mlpiht_cli.tasks.tabular import Tabular


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.RandomState(0)
    return pd.DataFrame({"a": rng.normal(3, 2, 50), "b": rng.normal(size=50), "y": rng.normal(10, 4, 50)})


@pytest.fixture
def mixed(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers, words and missing values; the row number is a feature that finds rows again."""
    colour = np.random.RandomState(1).choice(["red", "green", "blue"], 50).astype(object)
    colour[[1, 30]] = None
    frame = frame.assign(colour=colour, row=np.arange(50))
    frame.loc[[2, 40], "a"] = np.nan
    return frame


def write(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def made(frame: pd.DataFrame, path: Path, seed: int = 0, **settings: Any) -> Problem:
    return Tabular(path=str(write(frame, path)), **settings).build(Axes(1, 1), Streams(seed))


def recipe_of(problem: Problem) -> Recipe:
    return Recipe.model_validate(problem.recipe)


def rows_of(problem: Problem, x: torch.Tensor) -> list[int]:
    """Numbers of the rows, from their feature `row`."""
    recipe = recipe_of(problem)
    i = recipe.names.index("row")
    return [round(value) for value in (x[:, i].double() * recipe.scale[i] + recipe.mean[i]).tolist()]


def test_split_and_standardisation_use_the_training_rows_only(frame: pd.DataFrame, tmp_path: Path) -> None:
    problem = made(frame, tmp_path / "t.csv", 3)
    assert (problem.n, problem.d) == (40, 3)
    assert len(problem.x_test) == 10
    torch.testing.assert_close(problem.x[:, :2].mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(problem.x[:, :2].std(0, unbiased=False), torch.ones(2))
    assert torch.equal(problem.x[:, 2], torch.ones(40)), "the intercept is a column of ones"
    raw = recipe_of(problem).predictions(torch.cat([problem.y, problem.y_test]).double().numpy())["y"]
    np.testing.assert_allclose(sorted(raw), sorted(frame["y"]), rtol=1e-5)


@pytest.mark.parametrize("kind", ["regression", "two", "three"])
def test_values_of_test_rows_reach_nothing_of_the_fit(mixed: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    labels = {"regression": mixed["y"], "two": np.tile(["u", "v"], 25), "three": np.arange(50) % 3}
    frame = mixed.assign(y=labels[kind])
    settings: dict[str, Any] = {} if kind == "regression" else {"kind": "classes"}
    before = made(frame, tmp_path / "t.csv", **settings)
    test = rows_of(before, before.x_test)
    assert sorted([*test, *rows_of(before, before.x)]) == list(range(50))
    changed = frame.copy()
    changed.loc[test, "a"] = 1e6
    changed.loc[test[:3], "b"] = np.nan
    changed.loc[test, "colour"] = "violet"
    if kind == "regression":
        changed.loc[test, "y"] = -1e4
    after = made(changed, tmp_path / "t.csv", **settings)
    assert after.recipe == before.recipe
    assert torch.equal(after.x, before.x)
    assert torch.equal(after.y, before.y)
    assert not torch.equal(after.x_test, before.x_test)


def test_the_split_depends_on_the_seed_or_on_the_split_seed(frame: pd.DataFrame, tmp_path: Path) -> None:
    a, b, c = (made(frame, tmp_path / "t.csv", seed) for seed in (0, 0, 1))
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, c.x)
    for seed in (0, 5):
        assert torch.equal(made(frame, tmp_path / "t.csv", seed, split_seed=1).x, c.x)


def test_a_file_of_test_rows_leaves_all_rows_for_training(mixed: pd.DataFrame, tmp_path: Path) -> None:
    test = mixed.sample(20, random_state=0)[mixed.columns[::-1]].assign(extra="not in the other file")
    path = write(test, tmp_path / "test.csv")
    problem = made(mixed, tmp_path / "t.csv", test=str(path))
    assert (problem.n, len(problem.x_test)) == (50, 20)
    places = test.index.tolist()
    assert torch.equal(problem.x_test, problem.x[places])
    assert torch.equal(problem.y_test, problem.y[places])
    assert torch.equal(problem.x, made(mixed, tmp_path / "t.csv", 9, test=str(path)).x)
    task = Tabular(path=str(tmp_path / "t.csv"), test=str(path))
    assert task.dims().n == 50
    before = task.identity
    write(test.assign(a=1.0), path)
    assert Tabular(path=str(tmp_path / "t.csv"), test=str(path)).identity != before
    task = Tabular(path=str(tmp_path / "t.csv"), test=str(write(mixed, tmp_path / "same.csv")))
    with pytest.raises(InputError, match=r"same.csv: the test rows are the training rows"):
        task.check_data()


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"a": [1, 2]}, "test.csv: no column 'y' for the target"),
        (
            {"y": ["u", "w"], "a": [1, 2], "b": [1, 2]},
            "test.csv: target 'y', data row 2: no training row has the label 'w'",
        ),
        ({"y": ["u", "v"], "A": [1, 2], "b": [1, 2]}, "test.csv: no column 'a' for a feature"),
    ],
)
def test_bad_files_of_test_rows(frame: pd.DataFrame, tmp_path: Path, test: dict[str, Any], message: str) -> None:
    path = write(pd.DataFrame(test), tmp_path / "test.csv")
    with pytest.raises(InputError, match=message):
        made(frame.assign(y=np.tile(["u", "v"], 25)), tmp_path / "t.csv", test=str(path))


def test_two_classes_are_found_and_come_back_as_they_were(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["y"] = np.where(frame["a"] > 3, "yes", "no")
    problem = made(frame, tmp_path / "t.csv")
    assert (problem.metric, problem.loss, problem.k) == ("accuracy", "squared", 1)
    assert problem.y.unique().tolist() == [0.0, 1.0]
    recipe = recipe_of(problem)
    assert recipe.classes == ["no", "yes"]
    assert (
        recipe.predictions(problem.y.double().numpy())["y"] == recipe.predictions(problem.y.double().numpy() * 0.9)["y"]
    )


def test_three_classes_have_three_outputs(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["y"] = np.tile(["u", "v", "w", "w", "w"], 10)
    problem = made(frame, tmp_path / "t.csv")
    assert (problem.metric, problem.loss, problem.k) == ("accuracy", "cross_entropy", 3)
    assert problem.y.sum(0).tolist() == [8, 8, 24]
    assert problem.y_test.sum(0).tolist() == [2, 2, 6], "the split keeps the shares"


def test_a_linear_fit_of_the_inputs_is_scikit_learns(mixed: pd.DataFrame, tmp_path: Path) -> None:
    """The inputs span what an analyst's own encoding spans, so least squares predicts alike."""
    problem = made(mixed, tmp_path / "t.csv")
    x, y = problem.x.double().numpy(), problem.y[:, 0].double().numpy()
    found = recipe_of(problem).predictions(x @ np.linalg.lstsq(x, y, rcond=1e-9)[0][:, None])["y"]
    train = mixed.loc[rows_of(problem, problem.x)]
    own = pd.get_dummies(train["colour"].fillna(train["colour"].mode()[0])).assign(
        a=train["a"].fillna(train["a"].median()),
        gap=train["a"].isna(),
        none=train["colour"].isna(),
        b=train["b"],
        row=train["row"],
    )
    own.columns = own.columns.astype(str)
    expected = LinearRegression().fit(own.astype(float), train["y"]).predict(own.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_npz_and_csv_give_the_same_problem(frame: pd.DataFrame, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=frame[["a", "b"]].to_numpy(), y=frame["y"].to_numpy())
    a = Tabular(path=str(tmp_path / "t.npz")).build(Axes(1, 1), Streams(0))
    b = made(frame, tmp_path / "t.csv")
    torch.testing.assert_close(a.x, b.x)
    torch.testing.assert_close(a.y, b.y)


def test_dropped_columns_are_no_features(mixed: pd.DataFrame, tmp_path: Path) -> None:
    problem = made(mixed, tmp_path / "t.csv", drop=["colour", "row"])
    assert recipe_of(problem).names == ["a", "a is missing", "b"]
    with pytest.raises(InputError, match="did you mean 'colour'"):
        made(mixed, tmp_path / "t.csv", drop=["color"])


def test_without_a_header_the_last_column_is_the_target(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "h.csv", index=False, header=False)
    problem = Tabular(path=str(tmp_path / "h.csv"), header=False).build(Axes(1, 1), Streams(0))
    assert torch.equal(problem.x, made(frame, tmp_path / "t.csv").x)
    recipe = recipe_of(problem)
    assert (recipe.features, recipe.target, recipe.width) == (["x0", "x1"], "x2", 3)


def test_dims_are_those_of_the_problem(mixed: pd.DataFrame, tmp_path: Path) -> None:
    problem = made(mixed, tmp_path / "t.csv")
    dims = Tabular(path=str(tmp_path / "t.csv")).dims()
    assert (dims.n, dims.d, dims.k) == (problem.n, problem.d, problem.k) == (40, 9, 1)


def test_the_identity_is_the_content_not_the_path(frame: pd.DataFrame, tmp_path: Path) -> None:
    one, two = (Tabular(path=str(write(frame, tmp_path / name))) for name in ("1.csv", "2.csv"))
    assert one.identity == two.identity
    frame.loc[0, "a"] += 1
    assert one.identity != Tabular(path=str(write(frame, tmp_path / "2.csv"))).identity


BAD = {
    "a,y\n1,2.5\n2,4\nx,3\n": r"column 'a', data row 3: 'x' is not a finite number",
    "a,y\n1,2\ninf,3\n4,5\n": r"column 'a', data row 2: inf is not a finite number",
    "a,y\n1,2\n2,\n": r"target 'y', data row 2: is missing",
    "a,z\n1,2\n2,3\n": r"no column 'y' for the target",
    "a,y\n1,2\n": r"target 'y' is constant",
    "a,y\n1,2\n2,3\n": r"2 rows are too few for a test share of 0.2",
    "a,y\n1,u\n2,v\n3,w\n4,w\n": r"3 values in 4 rows; that is too many for classes",
    "a,y\n1,5\n2,5\n3,5\n4,5\n": r"is constant",
    "a,y\n1e300,1\n-1e300,2\n3e307,5\n4,6\n-9,7\n": r"column 'a', data row \d: too large for float32",
    "a,w,y\n1,ab,1\n2,cd,2\n3,ef,5\n4,gh,6\n5,ij,7\n": r"column 'w' has 4 different words in 4 training rows",
}


@pytest.mark.parametrize("content", BAD)
def test_bad_tables_are_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=BAD[content]):
        Tabular(path=str(path), standardise=False).build(Axes(1, 1), Streams(0))


def test_values_that_overflow_are_refused(tmp_path: Path) -> None:
    huge = np.array([1e300, -1e300, 3e307, 4.0, -9.0])
    for x, y in ((huge, np.arange(5.0)), (np.arange(5.0), huge)):
        with pytest.raises(InputError, match="too large to standardise"):
            made(pd.DataFrame({"a": x, "y": y}), tmp_path / "t.csv")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_devices_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        file_bytes(Path(path))


def test_many_equal_rows_are_told_of(frame: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made(frame, tmp_path / "t.csv")
    assert "equal to another one" not in caplog.text
    made(pd.concat([frame, frame.head(10)]), tmp_path / "t.csv")
    assert "10 of 60 rows are equal to another one" in caplog.text


def test_each_seed_is_judged_by_its_own_split(tmp_path: Path) -> None:
    rows = np.arange(20)
    path = write(pd.DataFrame({"row": rows, "y": rows * 0.5}), tmp_path / "t.csv")
    held_out = rows_of(first := Tabular(path=str(path)).build(Axes(1, 1), Streams(0)), first.x_test)
    write(pd.DataFrame({"row": rows, "y": np.where(rows == held_out[0], 2.5, 1.0)}), path)
    task = Tabular(path=str(path), kind="regression")
    task.check_data()
    assert task.dims().n == 16
    with pytest.raises(InputError, match="constant on the training rows"):
        task.build(Axes(1, 1), Streams(0))
    assert task.build(Axes(1, 1), Streams(1)).n == 16


def test_labels_that_read_as_missing_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{'NA' if i % 2 else 'EU'}\n" for i in range(20)))
    with pytest.raises(InputError, match=r"data row 2: is missing \(nothing, or a word .*NA.*another name"):
        Tabular(path=str(tmp_path / "t.csv")).check_data()
