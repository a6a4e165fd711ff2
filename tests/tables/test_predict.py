"""From a user's file to predictions by the command line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli.core.model import SparseMLP

Run = Callable[..., Any]
SHAPE = ("--m", 8, "--s", 24, "--save", "m.npz")


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "colour": rng.choice(["red", "green"], 300)})
    return frame.assign(y=np.where(frame["colour"] == "red", 3 * np.maximum(frame["a"], 0), -1.0) + 5)


def predictions(result: Any) -> pd.DataFrame:
    assert result.code == 0, result.err
    return pd.read_csv(io.StringIO(result.out))


def piped(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


def test_new_rows_come_in_any_format(mlpiht: Run, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    frame.to_csv("t.csv", index=False)
    assert mlpiht("fit", "--method", "iht", "--data", "t.csv", *SHAPE).code == 0
    new = frame.drop(columns="y").head(20)
    new.to_csv("new.csv.gz", index=False)
    new.to_csv("new.tsv", sep="\t", index=False)
    new.to_csv("s.csv", sep=";", decimal=",", index=False)
    new.to_parquet("new.parquet")
    frame.head(20).to_csv("with_target.csv", index=False)
    expected = predictions(mlpiht("predict", "m.npz", "with_target.csv"))
    assert expected.columns.tolist() == ["y"]
    assert np.corrcoef(expected["y"], frame["y"].head(20))[0, 1] > 0.9
    for name in ("new.csv.gz", "new.tsv", "s.csv", "new.parquet"):
        pd.testing.assert_frame_equal(predictions(mlpiht("predict", "m.npz", name)), expected)
    piped(monkeypatch, new.to_csv(index=False))
    pd.testing.assert_frame_equal(predictions(mlpiht("predict", "m.npz", "-")), expected)


def test_a_table_from_standard_input_is_the_table_in_a_file(
    mlpiht: Run, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame.to_csv("t.csv", index=False)
    words = ("fit", "--method", "iht", *SHAPE, "--json", "--data")
    piped(monkeypatch, Path("t.csv").read_text())
    assert mlpiht(*words, "-").json["cell"] == mlpiht(*words, "t.csv").json["cell"]


@pytest.mark.parametrize("target", [None, "x0"])
def test_rows_without_a_header_have_the_columns_of_the_fitted_file(
    mlpiht: Run, frame: pd.DataFrame, target: str | None
) -> None:
    order = ["a", "colour", "y"] if target is None else ["y", "a", "colour"]
    frame[order].to_csv("h.csv", index=False, header=False)
    words = ("--set", "task.header=false", *(("--target", target) if target else ()))
    assert mlpiht("fit", "--method", "iht", "--data", "h.csv", *words, *SHAPE).code == 0
    name = target or "x2"
    expected = predictions(mlpiht("predict", "m.npz", "h.csv"))
    assert expected.columns.tolist() == [name]
    frame[["a", "colour"]].to_csv("new.csv", index=False, header=False)
    pd.testing.assert_frame_equal(predictions(mlpiht("predict", "m.npz", "new.csv")), expected)
    frame[["a"]].to_csv("narrow.csv", index=False, header=False)
    result = mlpiht("predict", "m.npz", "narrow.csv")
    assert result.code == 2
    assert "it needs the 3 columns of the fitted file in their order, or 2 without the target" in result.err


def test_labels_and_probabilities_are_printed(mlpiht: Run, frame: pd.DataFrame) -> None:
    frame.assign(y=np.where(frame["a"] > 0, "false", "true")).to_csv("t.csv", index=False)
    assert mlpiht("fit", "--method", "iht", "--data", "t.csv", *SHAPE).code == 0
    found = mlpiht("predict", "m.npz", "t.csv", "--json").json
    assert list(found) == ["y", "probability_false", "probability_true"]
    assert set(found["y"]) == {"false", "true"}
    assert np.add(found["probability_false"], found["probability_true"]) == pytest.approx(1.0)
    assert (np.array(found["probability_true"]) > 0.5).tolist() == [label == "true" for label in found["y"]]


def test_three_classes_from_fit_to_predictions(mlpiht: Run, frame: pd.DataFrame) -> None:
    labels = np.where(frame["a"] > 0.5, 30, np.where(frame["colour"] == "red", 10, 2))
    frame.assign(y=labels).to_csv("t.csv", index=False)
    words = ("fit", "--method", "iht_vector", "--data", "t.csv", *SHAPE, "--set", "task.kind=classes")
    fitted = mlpiht(*words, "--set", "method.selection=magnitude", "--set", "method.step=safeguarded", "--json")
    assert fitted.code == 0, fitted.err
    assert (fitted.json["k"], fitted.json["metric"]) == (3, "accuracy")
    found = predictions(mlpiht("predict", "m.npz", "t.csv"))
    assert found.columns.tolist() == ["y", "probability_2", "probability_10", "probability_30"]
    assert (found["y"] == labels).mean() > 0.8
    assert found.iloc[:, 1:].sum(axis=1).to_numpy() == pytest.approx(1.0)


@pytest.mark.parametrize("change", [{"kind": "classes", "classes": ["a", "b", "c"]}, {"intercept": False}])
def test_recipes_of_other_networks_are_refused(mlpiht: Run, frame: pd.DataFrame, change: dict[str, object]) -> None:
    frame.to_csv("t.csv", index=False)
    assert mlpiht("fit", "--method", "iht", "--data", "t.csv", *SHAPE).code == 0
    model, meta = SparseMLP.load(Path("m.npz"))
    recipe = meta["recipe"]
    assert isinstance(recipe, dict)
    for forged, message in (
        ({**recipe, **change}, "the network and its recipe do not fit together"),
        ({**recipe, "mean": [1.0]}, "its recipe for reading tables is damaged"),
        ({"features": ["a"], "mean": [0.0], "scale": [1.0]}, "or of another version; fit it again"),
    ):
        model.save(Path("forged.npz"), {**meta, "recipe": forged})
        result = mlpiht("predict", "forged.npz", "t.csv")
        assert (result.code, result.out) == (2, "")
        assert message in result.err


def test_columns_that_a_network_does_not_use_may_be_missing(mlpiht: Run, tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{i * i % 5},{i % 7 + 0.5}\n" for i in range(40))
    (tmp_path / "t.csv").write_text(f"a,b,y\n{rows}")
    given = ("--method", "iht", "--m", 1, "--s", 1, "--set", "method.steps=5", "--save", "m.npz")
    assert mlpiht("fit", "--data", "t.csv", *given).code == 0
    assert "unused: b" in mlpiht("show", "m.npz").out
    whole = mlpiht("predict", "m.npz", "t.csv").out
    (tmp_path / "a.csv").write_text("a\n" + "".join(f"{i % 7}\n" for i in range(40)))
    (tmp_path / "words.csv").write_text("a,b\n" + "".join(f"{i % 7},words\n" for i in range(40)))
    assert mlpiht("predict", "m.npz", "a.csv") == (0, whole, "")
    assert mlpiht("predict", "m.npz", "words.csv") == (0, whole, "")
    (tmp_path / "b.csv").write_text("b\n1\n")
    assert "no column 'a' for a feature" in mlpiht("predict", "m.npz", "b.csv").err


@pytest.mark.parametrize("turned", [False, True])
def test_truth_values_may_be_written_as_0_and_1(mlpiht: Run, tmp_path: Path, turned: bool) -> None:
    texts = {
        write: "b,c,y\n" + "".join(f"{write(i % 3 == 0)},{i % 5},{i % 3 * 2.5 + i % 5}\n" for i in range(40))
        for write in (bool, int)
    }
    (tmp_path / "words.csv").write_text(texts[bool])
    (tmp_path / "digits.csv").write_text(texts[int])
    fitted, other = ("digits.csv", "words.csv")[:: -1 if turned else 1]
    given = ("--method", "iht", "--m", 3, "--s", 6, "--set", "method.steps=5", "--save", "m.npz")
    assert mlpiht("fit", "--data", fitted, *given).code == 0
    assert mlpiht("predict", "m.npz", other) == mlpiht("predict", "m.npz", fitted)
