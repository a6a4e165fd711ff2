from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import file_bytes
from mlpiht_cli.tasks.columns import read_columns
from mlpiht_cli.tasks.tabular import Recipe, Tabular


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.RandomState(0)
    return pd.DataFrame({"a": rng.normal(3, 2, 50), "b": rng.normal(size=50), "y": rng.normal(10, 4, 50)})


def write(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def test_split_and_standardisation_use_the_training_rows_only(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = write(frame, tmp_path / "t.csv")
    problem = Tabular(path=str(path)).build(Axes(1, 1), Streams(3))
    assert (problem.n, problem.d) == (40, 3)
    assert len(problem.x_test) == 10
    torch.testing.assert_close(problem.x[:, :2].mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(problem.x[:, :2].std(0, unbiased=False), torch.ones(2))
    assert torch.equal(problem.x[:, 2], torch.ones(40)), "the intercept is a column of ones"
    recipe = Recipe.model_validate(problem.recipe)
    raw = recipe.predictions(torch.cat([problem.y, problem.y_test])[:, 0].double().numpy())["y"]
    np.testing.assert_allclose(sorted(raw), sorted(frame["y"]), rtol=1e-5)


def test_the_split_depends_on_the_seed(frame: pd.DataFrame, tmp_path: Path) -> None:
    task = Tabular(path=str(write(frame, tmp_path / "t.csv")))
    a, b, c = (task.build(Axes(1, 1), Streams(seed)) for seed in (0, 0, 1))
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, c.x)


def test_two_classes_are_found_and_come_back_as_they_were(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["y"] = np.where(frame["a"] > 3, "yes", "no")
    problem = Tabular(path=str(write(frame, tmp_path / "t.csv"))).build(Axes(1, 1), Streams(0))
    assert problem.metric == "accuracy"
    recipe = Recipe.model_validate(problem.recipe)
    assert recipe.classes == ["no", "yes"]
    assert recipe.predictions(np.array([0.2, 0.7]))["y"] == ["no", "yes"]


def test_a_column_that_is_constant_but_for_rounding_is_left_unscaled(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.1] * 50, "b": range(50), "y": range(50)})
    problem = Tabular(path=str(write(frame, tmp_path / "t.csv"))).build(Axes(1, 1), Streams(0))
    assert problem.x[:, 0].abs().max() < 1e-6
    assert Recipe.model_validate(problem.recipe).scale[0] == 1.0


def test_npz_and_csv_give_the_same_problem(frame: pd.DataFrame, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=frame[["a", "b"]].to_numpy(), y=frame["y"].to_numpy())
    a = Tabular(path=str(tmp_path / "t.npz")).build(Axes(1, 1), Streams(0))
    b = Tabular(path=str(write(frame, tmp_path / "t.csv"))).build(Axes(1, 1), Streams(0))
    torch.testing.assert_close(a.x, b.x)
    torch.testing.assert_close(a.y, b.y)


def test_the_identity_is_the_content_not_the_path(frame: pd.DataFrame, tmp_path: Path) -> None:
    one, two = (Tabular(path=str(write(frame, tmp_path / name))) for name in ("1.csv", "2.csv"))
    assert one.identity == two.identity
    frame.loc[0, "a"] += 1
    assert one.identity != Tabular(path=str(write(frame, tmp_path / "2.csv"))).identity


BAD = {
    "a,y,y\n1,2,3\n2,3,4\n": r"two columns are called 'y'",
    "a,y\n1,2,3\n2,3,4\n": r"Expected 2 fields in line 2, saw 3",
    "a;y\n1;2\n2;3\n": r"separated by semicolons|no column 'y'",
    "a,y\n1,2\nx,3\n": r"column 'a', data row 2: 'x' is not a number",
    "a,y\n1,2\n,3\n": r"column 'a', data row 2: missing or not a finite number",
    "a,y\n1,2\ninf,3\n": r"column 'a', data row 2: missing or not a finite number",
    "a,y\n1,2\n2,\n": r"target 'y', data row 2: missing",
    "a,z\n1,2\n2,3\n": r"no column 'y' for the target",
    "a,y\n": r"holds no data rows",
    "y\n1\n2\n": r"no feature columns",
    "a,y\n1,2\n2,3,4,5\n": r"not a CSV table",
    "": r"not a CSV table",
    "a,y\n1,2\n": r"1 rows are too few",
    "a,y\n1,u\n2,v\n3,w\n4,w\n": r"is text with 3 values",
    "a,y\n1,5\n2,5\n3,5\n4,5\n": r"is constant",
    "a,y\n1e300,1\n-1e300,2\n3e307,5\n4,6\n-9,7\n": r"column 'a', data row \d: too large for float32",
}


def test_values_that_overflow_are_refused(tmp_path: Path) -> None:
    huge = np.array([1e300, -1e300, 3e307, 4.0, -9.0])
    for x, y in ((huge, np.arange(5.0)), (np.arange(5.0), huge)):
        frame = pd.DataFrame({"a": x, "y": y})
        with pytest.raises(InputError, match="too large to standardise"):
            Tabular(path=str(write(frame, tmp_path / "t.csv"))).build(Axes(1, 1), Streams(0))


@pytest.mark.parametrize("change", [{"mean": [0.0]}, {"scale": [0.0, 1.0]}, {"kind": "binary"}])
def test_forged_recipes_are_refused(frame: pd.DataFrame, tmp_path: Path, change: dict[str, object]) -> None:
    problem = Tabular(path=str(write(frame, tmp_path / "t.csv"))).build(Axes(1, 1), Streams(0))
    with pytest.raises(ValueError, match=r"belong together|not usable|two classes"):
        Recipe.model_validate({**(problem.recipe or {}), **change})


@pytest.mark.parametrize("content", BAD)
def test_bad_tables_are_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=BAD[content]):
        Tabular(path=str(path), standardise=False).build(Axes(1, 1), Streams(0))


def test_objects_in_an_npz_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", x=np.array([{"a": 1}], dtype=object), y=np.ones(1))
    with pytest.raises(InputError, match="not an NPZ file of plain arrays"):
        read_columns(tmp_path / "bad.npz", "y")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match="not an NPZ file"):
        read_columns(tmp_path / "bad.npz", "y")
    with pytest.raises(InputError, match="cannot be read"):
        read_columns(tmp_path / "absent.npz", "y")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_devices_are_refused(path: str) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        file_bytes(Path(path))
