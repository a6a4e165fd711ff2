from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mlpiht_cli.core import export
from mlpiht_cli.core.facts import Facts, unnamed
from mlpiht_cli.core.stages import in_units
from mlpiht_cli.errors import InputError
from tests.networks import INPUTS, KINDS, networks, rows

every_network = pytest.mark.parametrize("kind", KINDS)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
FACTS = Facts(
    names=["a", "b", "c", "d", "e"],
    mean=[3.0, -2.0, 0.5, 2000.0, 1.0],
    scale=[2.0, 0.1, 1.0, 8.0, 1.0],
    intercept=True,
    kind="regression",
    y_mean=7.0,
    y_scale=3.0,
)


@every_network
@both_types
def test_a_module_of_torch_predicts_the_same(kind: str, dtype: torch.dtype) -> None:
    model, by_hand = networks(dtype)[kind]
    net, x = model.to_torch(), rows()
    found = net(torch.from_numpy(x).to(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.detach().numpy(), by_hand(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.detach().numpy(), model.forward(torch.from_numpy(x).to(dtype)), atol=1e-6)
    assert net(torch.zeros(1, INPUTS, dtype=dtype)).shape == (1, by_hand(x).shape[1]), "any number of rows"


def test_a_module_is_the_users_own() -> None:
    model, by_hand = networks(torch.float64)["linear_bias"]
    net, x = model.to_torch(), rows()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    np.testing.assert_allclose(model.forward(torch.from_numpy(x)), by_hand(x))


@every_network
@both_types
def test_onnx_runtime_predicts_the_same(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model, by_hand = networks(dtype)[kind]
    path = tmp_path / "model.onnx"
    model.to_onnx(str(path))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["x"]
    assert [one.name for one in session.get_outputs()] == ["y"]
    for n in (1, 40):
        x = rows(n)
        (found,) = session.run(None, {"x": torch.from_numpy(x).to(dtype).numpy()})
        np.testing.assert_allclose(found, by_hand(x), rtol=1e-5, atol=1e-5)


def test_without_the_package_a_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"pip install 'mlpiht\[onnx\]'"):
        networks(torch.float32)["fused"][0].to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_that_an_onnx_file_cannot_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="2 GiB"):
        export.onnx_bytes(networks(torch.float64)["fused"][0].stages())


@every_network
def test_a_chain_in_units_takes_what_the_recipe_standardises(kind: str) -> None:
    model, by_hand = networks(torch.float32)[kind]
    z = rows()
    z[:, -1] = 1.0
    raw = z[:, :-1] * FACTS.scale + FACTS.mean
    stages = in_units(model.stages(), FACTS)
    expected = by_hand(z) * 3.0 + 7.0
    found = export.module(stages)(torch.from_numpy(raw))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-9, atol=1e-9)
    session = onnxruntime.InferenceSession(export.onnx_bytes(stages), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": raw})[0], expected, rtol=1e-9, atol=1e-9)


@every_network
def test_the_saved_state_comes_back_by_the_lines_that_are_printed(kind: str, tmp_path: Path) -> None:
    model, by_hand = networks(torch.float64)[kind]
    path, x = tmp_path / 'a "quoted" name.pt', rows()
    export.write(path, export.torch_bytes(model.stages()))
    lines = export.loading_lines(model.stages(), str(path))
    assert len(lines) == 3
    names: dict[str, Any] = {"torch": torch, "x": torch.from_numpy(x)}
    exec("\n".join(lines), names)
    found = names["y"] if "y" in names else names["net"](names["x"])
    np.testing.assert_allclose(found.detach().numpy(), by_hand(x), atol=1e-12)


def test_notes_stand_in_the_file() -> None:
    data = export.onnx_bytes(networks(torch.float32)["fused"][0].stages(), {"inputs": ["a", "b"]})
    found = {one.key: one.value for one in onnx.load_from_string(data).metadata_props}
    assert found == {"inputs": '["a", "b"]'}


@every_network
def test_scipy_and_the_support_hold_the_nonzeros(kind: str) -> None:
    model, _ = networks(torch.float32)[kind]
    for layer, matrix, places in zip(model.layers, model.to_scipy(), model.support, strict=True):
        dense = layer.dense().numpy()
        np.testing.assert_array_equal(matrix.toarray(), dense)
        assert (matrix.nnz, matrix.dtype, matrix.shape) == (layer.nnz, dense.dtype, dense.shape)
        np.testing.assert_array_equal(places, np.argwhere(dense))
        assert places.dtype == np.int64


def test_outputs_have_names() -> None:
    one = Facts(names=["a"], mean=[1.0], scale=[2.0], intercept=True, kind="regression", target="age")
    assert one.outputs(1) == ["age"]
    assert replace(one, kind="classes", classes=["no", "yes"]).outputs(1) == ["score"]
    assert replace(one, kind="classes", classes=["u", "v", "w"]).outputs(3) == ["u", "v", "w"]
    bare = unnamed(2)
    assert (bare.names, bare.outputs(2)) == (["x0", "x1"], ["y0", "y1"])
