from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.core import products
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.model_arrays import MAX_SIDE
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix


def sparse(rows: int, cols: int, seed: int, density: float = 0.4) -> SparseMatrix:
    rng = np.random.RandomState(seed)
    return SparseMatrix.from_dense(torch.from_numpy(rng.normal(size=(rows, cols)) * (rng.rand(rows, cols) < density)))


def inputs(n: int, d: int) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(9).normal(size=(n, d)))


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 99), st.booleans())
def test_forward_is_the_dense_network(sizes: list[int], seed: int, fused: bool) -> None:
    layers = tuple(sparse(b, a, seed + i) for i, (a, b) in enumerate(pairwise(sizes)))
    signs = torch.tensor([1.0, -1.0] * 3)[: sizes[-1]] if fused else None
    x = inputs(7, sizes[0])
    hidden = x
    for i, layer in enumerate(layers):
        hidden = hidden @ layer.dense().T
        if fused or i < len(layers) - 1:
            hidden = hidden.relu()
    expected = hidden if signs is None else (hidden @ signs.double())[:, None]
    torch.testing.assert_close(SparseMLP(layers, signs).forward(x), expected)


def test_forward_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net = SparseMLP((sparse(4, 3, 0), sparse(1, 4, 1)))
    whole = net.forward(inputs(11, 3))
    monkeypatch.setattr(products, "_SAMPLES", (4, 4))
    torch.testing.assert_close(net.forward(inputs(11, 3)), whole)
    assert net.forward(inputs(0, 3)).shape == (0, 1)


@pytest.mark.parametrize("samples", [(3, 5), (256, 4096)])
@pytest.mark.parametrize("kind", ["fused", "output", "bias", "gates", "linear"])
def test_nonzeros_alone_give_the_dense_predictions(
    kind: str, samples: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight in fifty, in chunks of some samples: dead neurons, unused inputs and zeros add nothing."""
    monkeypatch.setattr(products, "_SAMPLES", samples)
    first, second, x = sparse(60, 30, 0, 0.02), sparse(2, 60, 1, 0.5), inputs(17, 30)
    assert len(first.live_rows()) < 60
    signs, bias = torch.linspace(-1, 1, 60).sign(), torch.linspace(-1, 1, 60).double()
    gates, w, v = sparse(60, 30, 5, 1.0), first.dense(), second.dense()
    net, expected = {
        "fused": (SparseMLP((first,), signs), (x @ w.T).relu() @ signs.double()[:, None]),
        "output": (SparseMLP((first, second)), (x @ w.T).relu() @ v.T),
        "bias": (SparseMLP((first, second), bias=bias), (x @ w.T + bias).relu() @ v.T),
        "gates": (SparseMLP((first,), signs, gates), ((x @ w.T) * (x @ gates.dense().T > 0)) @ signs.double()[:, None]),
        "linear": (SparseMLP((first,)), x @ w.T),
    }[kind]
    torch.testing.assert_close(net.forward(x), expected)
    assert net.forward(x).is_contiguous()
    torch.testing.assert_close(net.forward(x[:, :].T.contiguous().T), expected)


def test_saved_models_come_back(tmp_path: Path) -> None:
    net = SparseMLP((sparse(4, 3, 0),), torch.ones(4), sparse(4, 3, 1, 1.0))
    net.save(tmp_path / "model.npz", {"a": [1, None, "x"]})
    back, meta = SparseMLP.load(tmp_path / "model.npz")
    assert meta == {"a": [1, None, "x"]}
    torch.testing.assert_close(back.forward(inputs(5, 3)), net.forward(inputs(5, 3)), rtol=0, atol=0)
    assert back.nnz == net.nnz
    net.save(str(tmp_path / "again.npz"), {"a": [1, None, "x"]})
    assert SparseMLP.load(str(tmp_path / "again.npz"))[1] == meta, "a path may be text"
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


@pytest.mark.parametrize("fused", [False, True])
def test_biases_are_added_in_the_first_layer_and_make_dead_rows_live(fused: bool, tmp_path: Path) -> None:
    first = SparseMatrix.from_dense(torch.tensor([[1.0, -2.0], [0.0, 0.0], [0.5, 0.5]]).double())
    bias, x = torch.tensor([0.5, 2.0, -1.0]).double(), inputs(9, 2)
    hidden = (x @ first.dense().T + bias).relu()
    second = sparse(3, 3, 2, 0.8)
    layers = (first, second) if fused else (first, second, sparse(2, 3, 3, 1.0))
    signs = torch.tensor([1.0, -1.0, 1.0]) if fused else None
    net = SparseMLP(layers, signs, bias=bias)
    deeper = (hidden @ second.dense().T).relu()
    expected = deeper @ (signs.double()[:, None] if signs is not None else layers[-1].dense().T)
    torch.testing.assert_close(net.forward(x), expected)
    torch.testing.assert_close(net.hidden(x), hidden)
    assert net.nnz == sum(layer.nnz for layer in layers), "biases are not counted"
    net.save(tmp_path / "model.npz", {})
    back, _ = SparseMLP.load(tmp_path / "model.npz")
    assert torch.equal(back.forward(x), net.forward(x))
    single = net.to("cpu", torch.float32)
    assert single.forward(x.float()).dtype == torch.float32


def test_a_linear_model_has_biases_too() -> None:
    layer, bias, x = sparse(3, 4, 0), torch.tensor([1.0, -2.0, 0.5]).double(), inputs(6, 4)
    torch.testing.assert_close(SparseMLP((layer,), bias=bias).forward(x), x @ layer.dense().T + bias)


def test_biases_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    for net in (
        SparseMLP((sparse(4, 3, 0),), torch.ones(4), bias=torch.ones(3)),
        SparseMLP((sparse(4, 3, 0),), torch.ones(4), bias=torch.full((4,), torch.nan)),
        SparseMLP((sparse(4, 3, 0),), torch.ones(4), sparse(4, 3, 1), bias=torch.ones(4)),
        SparseMLP((sparse(4, 3, 0),), torch.ones(4), bias=torch.ones(4, dtype=torch.int64)),
    ):
        net.save(path, {})
        with pytest.raises(InputError, match="bias"):
            SparseMLP.load(path)


def test_biases_are_checked_before_their_rows_take_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, most = tmp_path / "model.npz", MAX_SIDE
    one = SparseMatrix(torch.tensor([0]), torch.ones(1), most, most)
    SparseMLP((one,), bias=torch.ones(1)).save(path, {})
    monkeypatch.setattr(SparseMLP, "_live", lambda *_: pytest.fail("16 GB of row numbers"))
    with pytest.raises(InputError, match="bias"):
        SparseMLP.load(path)


def test_unused_neurons_are_left_out_of_the_support() -> None:
    net = SparseMLP(
        (
            SparseMatrix.from_dense(torch.tensor([[1.0, 0.0], [1.0, 1.0]])),
            SparseMatrix.from_dense(torch.tensor([[2.0, 0.0]])),
        )
    )
    assert net.first_layer_support().index.tolist() == [0]


def test_foreign_and_forged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    net = SparseMLP((sparse(4, 3, 0),), torch.ones(4))
    net.save(path, {})
    with np.load(path) as data:
        good = dict(data)
    forged: dict[str, dict[str, np.ndarray]] = {
        "format": {"format": np.array("other-1")},
        "order": {"layer0_index": good["layer0_index"][::-1]},
        "range": {"layer0_index": good["layer0_index"] + 100},
        "finite": {"layer0_values": good["layer0_values"] * np.nan},
        "length": {"layer0_values": good["layer0_values"][1:]},
        "readout": {"readout": np.ones(3)},
        "shape": {"layer0_shape": np.array([1, 2, 3])},
        "meta": {"meta": np.array("{")},
        "pickle": {"meta": np.array({"a": 1}, dtype=object)},
        "kind": {"layer0_values": good["layer0_values"].astype(str)},
    }
    for change in forged.values():
        np.savez(path, **{**good, **change})
        with pytest.raises(InputError, match="not a model file of mlpiht"):
            SparseMLP.load(path)
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY", b"hello"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a model file of mlpiht"):
            SparseMLP.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        SparseMLP.load(tmp_path / "absent.npz")


def test_wrong_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="takes 3 features"):
        SparseMLP((sparse(4, 3, 0),), torch.ones(4)).forward(inputs(2, 4))
