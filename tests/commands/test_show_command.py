"""``mlpiht show``: the formula of a network is the network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from tests.core.test_formula import evaluated
from tests.networks import networks

Run = Callable[..., Any]
FIT = ("fit", "--data", "my.csv", "--target", "price", "--set", "method.steps=30", "--save", "model.npz")
CLASSES = {
    "columns": [
        {"name": "petal width", "fill": 0.0, "missing": False},
        {"name": "colour", "categories": ["red"], "fill": "red", "missing": False},
    ],
    "mean": [1.0, 0.3],
    "scale": [0.7, 0.5],
    "intercept": True,
    "kind": "classes",
    "classes": ["setosa", "versicolor", "virginica"],
    "target": "species",
}


@pytest.fixture
def table(mlpiht: Run) -> pd.DataFrame:
    """A table in the working folder, whose columns have different sizes."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(18, 80, 200),
            "year": rng.randint(1990, 2020, 200),
            "income in k": rng.lognormal(4, 0.5, 200),
        }
    )
    frame["price"] = 50 + 3 * (frame["age"] - 45).clip(0) - 2 * (frame["year"] - 2005).clip(0)
    frame.to_csv("my.csv", index=False)
    return frame


@pytest.mark.parametrize(
    "method", [("iht", "--m", 6, "--s", 9), ("iht_linear", "--m", 1, "--s", 3), ("imp", "--m", 4, "--s", 12)], ids=str
)
def test_the_formula_of_a_regression_is_the_prediction(mlpiht: Run, table: pd.DataFrame, method: tuple[Any]) -> None:
    steps = () if method[0] != "imp" else ("--set", "method.epochs=3")
    words = FIT[:5] + FIT[7:] if method[0] == "imp" else FIT
    assert mlpiht(*words, "--method", *method, *steps).code == 0
    predicted = np.array(mlpiht("predict", "model.npz", "my.csv", "--json").json["price"])
    document = mlpiht("show", "model.npz", "--json").json
    found = evaluated(document, {name: table[name].to_numpy(float) for name in table.columns})[:, 0]
    np.testing.assert_allclose(found, predicted, rtol=1e-6, atol=1e-6 * np.abs(predicted).max())
    assert document["weights"] == sum(document["weights_by_layer"])


def test_the_text_is_the_formula(mlpiht: Run, table: pd.DataFrame) -> None:
    """Python reads the lines; rounding to 4 digits moves a prediction little, also on years."""
    assert mlpiht(*FIT, "--method", "iht", "--m", 6, "--s", 9).code == 0
    predicted = np.array(mlpiht("predict", "model.npz", "my.csv", "--json").json["price"])
    for digits, close in ((4, 5e-3), (8, 1e-5)):
        text = mlpiht("show", "model.npz", "--digits", digits).out
        lines = [line for line in re.sub(r"\n +(?=[+-])", " ", text).splitlines() if " = " in line]
        assert lines[0].startswith("price = ")
        names: dict[str, Any] = {"relu": lambda x: np.maximum(x, 0.0)}
        names |= {name.replace(" ", "_"): table[name].to_numpy(float) for name in table.columns}
        for line in reversed(lines):
            exec(re.sub(r"\[([^]]*)\]", lambda found: found[1].replace(" ", "_"), line), names)
        assert np.abs(names["price"] - predicted).max() < close * predicted.std()


def test_two_classes_are_told_by_a_score(mlpiht: Run, table: pd.DataFrame) -> None:
    table["price"] = np.where(table["price"] > table["price"].median(), "high", "low")
    table.to_csv("my.csv", index=False)
    assert mlpiht(*FIT, "--method", "iht", "--m", 6, "--s", 9).code == 0
    predicted = mlpiht("predict", "model.npz", "my.csv", "--json").json
    shown = mlpiht("show", "model.npz")
    assert "price is low where score > 0.5, else high" in shown.out
    document = mlpiht("show", "model.npz", "--json").json
    score = evaluated(document, {name: table[name].to_numpy(float) for name in ("age", "year", "income in k")})[:, 0]
    share = np.array(predicted["probability_low"])
    slope = np.log(share / (1 - share)) / (score - 0.5)
    np.testing.assert_allclose(slope, np.median(slope), rtol=1e-2, err_msg="the probability follows from the score")
    clear = np.abs(score - 0.5) > 1e-4
    assert (np.where(score > 0.5, "low", "high") == np.array(predicted["price"]))[clear].all()


def test_three_classes_have_a_line_each(mlpiht: Run) -> None:
    layer = SparseMatrix.from_dense(torch.tensor([[0.7, 0.0, 1.0], [0.0, -0.5, 0.0], [-1.4, 1.0, 0.0]]))
    SparseMLP((layer,)).save("model.npz", {"recipe": CLASSES})
    assert mlpiht("show", "model.npz").out.splitlines() == [
        "model.npz",
        "5 weights, a linear model",
        "2 of 2 inputs used",
        "",
        "setosa     = [petal width]",
        "versicolor = 0.3 - [colour=red]",
        "virginica  = 1.4 - 2*[petal width] + 2*[colour=red]",
        "",
        "species is the class whose value above is largest; their softmax gives probabilities",
    ]


def test_rows_say_what_each_neuron_does(mlpiht: Run, table: pd.DataFrame) -> None:
    assert mlpiht(*FIT, "--method", "iht", "--m", 6, "--s", 9).code == 0
    text = mlpiht("show", "model.npz", "--data", "my.csv")
    assert text.code == 0
    assert "on 200 rows of my.csv:" in text.out
    document = mlpiht("show", "model.npz", "--data", "my.csv", "--json").json
    assert sum(part["share"] for part in document["data"]) == pytest.approx(1.0)
    predicted = np.array(mlpiht("predict", "model.npz", "my.csv", "--json").json["price"])
    constant = document["outputs"][0]["constant"]
    assert constant + sum(part["mean"][0] for part in document["data"]) == pytest.approx(predicted.mean(), rel=1e-5)


@pytest.mark.parametrize("kind", ["fused", "deep", "gates", "linear", "silent", "bias"])
def test_networks_of_no_table_are_shown_and_drawn(mlpiht: Run, kind: str) -> None:
    networks(torch.float32)[kind][0].save("model.npz", {})
    result = mlpiht("show", "model.npz", "--out", "picture.png")
    assert result.code == 0
    assert Path("picture.png").read_bytes().startswith(b"\x89PNG")
    assert {"silent": "\ny = 0", "gates": "fixed gate of 6 weights"}.get(kind, " = ") in result.out
    assert max(len(line) for line in result.out.splitlines()) <= 120


def test_mistakes_are_named(mlpiht: Run) -> None:
    networks(torch.float32)["fused"][0].save("model.npz", {})
    Path("my.csv").write_text("a\n1\n")
    for words, message in {
        ("absent.npz",): "absent.npz",
        ("my.csv",): "not a model file",
        ("model.npz", "--out", "p.jpg"): "end the name in .png, .pdf or .svg",
        ("model.npz", "--out", "my.csv/p.png"): "cannot write to",
        ("model.npz", "--data", "my.csv"): "was not fitted to a table",
    }.items():
        result = mlpiht("show", *words)
        assert (result.code, result.out) == (2, ""), words
        assert message in result.err
    networks(torch.float32)["fused"][0].save("model.npz", {"recipe": {"names": 3}})
    assert "model.npz: its recipe for reading tables is damaged" in mlpiht("show", "model.npz").err


def test_names_cannot_steer_the_terminal(mlpiht: Run) -> None:
    layer = SparseMatrix.from_dense(torch.tensor([[1.0, 1.0, 1.0]]))
    recipe = {**CLASSES, "names": ["\x1b[2Jred", "b"], "kind": "regression", "classes": [], "target": "\x1b[31m"}
    SparseMLP((layer,)).save("model.npz", {"recipe": recipe, "row": {"method": "\x1b", "metric": "\x1b", "value": 1.0}})
    assert "\x1b" not in mlpiht("show", "model.npz").out
    assert "\x1b" not in mlpiht("export", "model.npz", "--to", "torch").err
