"""``mlpiht export``: files for other libraries predict what ``mlpiht predict`` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from tests.networks import networks, rows

Run = Callable[..., Any]
FIT = ("fit", "--method", "iht", "--data", "my.csv", "--m", 5, "--s", 9, "--set", "method.steps=20")


@pytest.fixture
def table(mlpiht: Run) -> pd.DataFrame:
    """A table in the working folder, and a model of it."""
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"year": rng.randint(1990, 2020, 150), "b": rng.normal(0, 1e-3, 150)})
    frame["y"] = 500 + (frame["year"] - 2000).clip(0) + 1e4 * frame["b"].abs()
    frame.to_csv("my.csv", index=False)
    assert mlpiht(*FIT, "--save", "model.npz").code == 0
    return frame


def onnx_outputs(path: str, x: Any) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def test_a_tables_model_takes_its_features_and_gives_its_target(mlpiht: Run, table: pd.DataFrame) -> None:
    expected = np.array(mlpiht("predict", "model.npz", "my.csv", "--json").json["y"])
    x = table[["year", "b"]].to_numpy(float)
    assert mlpiht("export", "model.npz", "--to", "onnx").out == "model.onnx\n"
    np.testing.assert_allclose(onnx_outputs("model.onnx", x)[:, 0], expected, rtol=1e-6)
    facts = mlpiht("export", "model.npz", "--to", "torch", "--json").json
    assert (facts["file"], facts["inputs"], facts["outputs"]) == ("model.pt", ["year", "b"], ["y"])
    assert (facts["dtype"], facts["units"]) == ("float64", "table")
    names: dict[str, Any] = {"torch": torch}
    exec("\n".join(facts["load"]), names)
    found = names["net"](torch.from_numpy(x)).detach().numpy()[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_bare_network_takes_standardised_inputs_and_ones(mlpiht: Run, table: pd.DataFrame) -> None:
    facts = mlpiht("export", "model.npz", "--to", "onnx", "--standardised", "--out", "bare.onnx", "--json").json
    assert (facts["inputs"], facts["dtype"], facts["units"]) == (["year", "b", "1"], "float32", "network")
    with np.load("model.npz") as data:
        recipe = json.loads(str(data["meta"]))["recipe"]
    x = (table[["year", "b"]].to_numpy() - recipe["mean"]) / recipe["scale"]
    found = onnx_outputs("bare.onnx", np.column_stack([x, np.ones(len(x))]).astype(np.float32))[:, 0]
    expected = np.array(mlpiht("predict", "model.npz", "my.csv", "--json").json["y"])
    np.testing.assert_allclose(found * recipe["y_scale"] + recipe["y_mean"], expected, rtol=1e-6)


def test_a_network_of_no_table_has_no_units(mlpiht: Run) -> None:
    model, by_hand = networks(torch.float32)["gates"]
    model.save("model.npz", {})
    assert mlpiht("export", "model.npz", "--to", "onnx").code == 0
    np.testing.assert_allclose(onnx_outputs("model.onnx", rows().astype(np.float32)), by_hand(rows()), atol=1e-5)
    result = mlpiht("export", "model.npz", "--to", "onnx", "--raw", "--out", "raw.onnx")
    assert (result.code, result.out) == (2, "")
    assert "leave --raw out" in result.err
    assert not Path("raw.onnx").exists()


def test_mistakes_are_named_and_the_model_survives(mlpiht: Run) -> None:
    networks(torch.float32)["fused"][0].save("model.npz", {})
    before = Path("model.npz").read_bytes()
    for words, message in {
        ("absent.npz", "--to", "onnx"): "absent.npz",
        ("model.npz",): "--to",
        (
            "model.npz",
            "--to",
            "onnx",
            "--out",
            "model.npz",
        ): "model.npz: is read by this command",
        ("model.npz", "--to", "torch", "--out", "model.npz/net.pt"): "cannot write to",
    }.items():
        result = mlpiht("export", *words)
        assert (result.code, result.out) == (2, ""), words
        assert message in result.err
    assert Path("model.npz").read_bytes() == before
    assert [path.name for path in Path().iterdir()] == ["model.npz"]
