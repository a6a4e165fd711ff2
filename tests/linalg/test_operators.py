"""The implicit operator against its dense twin, built here from the definition in a few lines of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg import operators
from mlpiht_cli.linalg.gates import RandomGates, WeightGates
from mlpiht_cli.linalg.operators import DenseOperator, GatedReLUOperator
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams

N, M, D = 37, 6, 5
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def dense_twin(x: np.ndarray, gates: np.ndarray, signs: np.ndarray) -> np.ndarray:
    return np.hstack([sign * (x @ h > 0)[:, None] * x for h, sign in zip(gates, signs, strict=True)])


def inputs(dtype: torch.dtype, n: int = N, d: int = D) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(0).normal(size=(n, d))).to(dtype)


def gate_matrix(kind: str, x: torch.Tensor, m: int) -> tuple[object, np.ndarray]:
    """A gate rule and its vectors: random ones, or sparse ones of which every second is zero (dead)."""
    if kind == "random":
        stream = Streams(3).gates(x.shape[1])
        return RandomGates(stream, m, x), stream.rows(0, m)
    h = np.random.RandomState(1).normal(size=(m, x.shape[1]))
    h[::2] = 0.0
    h[:, 0] = 0.0
    if kind == "all dead":
        h[:] = 0.0
    return WeightGates(SparseMatrix.from_dense(torch.from_numpy(h).to(x.dtype))), h


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("tile", [1, 3, 100])
@pytest.mark.parametrize("kind", ["random", "weights", "all dead"])
@pytest.mark.parametrize("signed", [False, True])
def test_products_equal_the_dense_twin(dtype: torch.dtype, tile: int, kind: str, signed: bool) -> None:
    x = inputs(dtype)
    gates, h = gate_matrix(kind, x, M)
    signs = torch.tensor([1.0, -1.0] * (M // 2), dtype=dtype) if signed else None
    operator = GatedReLUOperator(x.T.contiguous(), gates, M, signs, tile)
    a = dense_twin(x.double().numpy(), h, np.ones(M) if signs is None else signs.numpy())
    rng = np.random.RandomState(2)
    w = rng.normal(size=(M, D)) * (rng.uniform(size=(M, D)) < 0.4)
    r = torch.from_numpy(rng.normal(size=N)).to(dtype)
    near = {"atol": TOLERANCE[dtype] * N, "rtol": TOLERANCE[dtype]}

    np.testing.assert_allclose(operator.dense().numpy(), a, **near)
    weights = SparseMatrix.from_dense(torch.from_numpy(w).to(dtype))
    np.testing.assert_allclose(operator.matvec(weights).numpy(), a @ w.flatten(), **near)
    full = np.zeros((M, D))
    seen: list[int] = []
    for piece in operator.rmatvec(r):
        assert len(piece.rows) <= tile
        seen += piece.rows.tolist()
        full[piece.rows.numpy()] = piece.values.numpy()
    assert seen == sorted(set(seen))
    np.testing.assert_allclose(full.flatten(), a.T @ r.double().numpy(), **near)
    support = operator.columns(weights.index)
    assert operator.shape == (N, M, D)
    np.testing.assert_allclose(support.rmatvec(r).numpy(), (a.T @ r.double().numpy())[weights.index.numpy()], **near)


@pytest.mark.parametrize("signed", [False, True])
def test_both_ways_of_holding_a_support_are_the_same(monkeypatch: pytest.MonkeyPatch, signed: bool) -> None:
    """Column by column, or whole neurons where the support fills them."""
    x = inputs(torch.float64)
    signs = torch.tensor([1.0, -1.0] * M, dtype=torch.float64)[:M] if signed else None
    operator = GatedReLUOperator(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M, signs)
    index = torch.tensor([0, 1, D + 1, 3 * D, 3 * D + 2])
    results = []
    for most in (0, 1000):
        monkeypatch.setattr(operators, "DENSE_SUPPORT", most)
        support = operator.columns(index)
        results.append((type(support), support.matvec(torch.arange(5.0).double()), support.rmatvec(x[:, 0])))
    (first, *narrow), (second, *wide) = results
    assert first is not second
    for a, b in zip(narrow, wide, strict=True):
        torch.testing.assert_close(a, b)


def test_an_empty_support_gives_zeros() -> None:
    x = inputs(torch.float32)
    operator = GatedReLUOperator(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M)
    support = operator.columns(torch.empty(0, dtype=torch.int64))
    assert torch.equal(support.matvec(torch.empty(0)), torch.zeros(N))
    assert support.rmatvec(torch.ones(N)).shape == (0,)


def test_a_zero_gate_is_a_dead_neuron() -> None:
    x = torch.ones(4, 2)
    gates = WeightGates(SparseMatrix.from_dense(torch.tensor([[0.0, 0.0], [1.0, 0.0]])))
    operator = GatedReLUOperator(x.T.contiguous(), gates, 2)
    assert operator.dense()[:, :2].abs().sum() == 0
    assert torch.equal(operator.dense()[:, 2:], x)


def test_a_sample_on_the_hinge_is_closed_since_the_indicator_is_strict() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    gates = WeightGates(SparseMatrix.from_dense(torch.tensor([[1.0, 0.0]])))
    operator = GatedReLUOperator(x.T.contiguous(), gates, 1)
    assert operator.dense().tolist() == [[0.0, 0.0], [1.0, 1.0]]


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 7), st.integers(1, 11), st.integers(0, 5))
def test_adjoint_identity_holds_for_any_shape(n: int, m: int, d: int, tile: int, seed: int) -> None:
    """<A w, r> = <w, A^T r>."""
    x = inputs(torch.float64, n, d)
    operator = GatedReLUOperator(x.T.contiguous(), RandomGates(Streams(seed).gates(d), m, x), m, tile=tile)
    w = torch.from_numpy(np.random.RandomState(seed).normal(size=(m, d)))
    r = torch.from_numpy(np.random.RandomState(seed + 1).normal(size=n))
    left = operator.matvec(SparseMatrix.from_dense(w)) @ r
    right = sum((piece.values * w[piece.rows]).sum() for piece in operator.rmatvec(r))
    torch.testing.assert_close(left, torch.as_tensor(right))


def test_without_room_for_caches_the_products_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = inputs(torch.float64)
    make = lambda: GatedReLUOperator(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M, tile=2)  # noqa: E731
    index, values = torch.tensor([0, 7, 29]), torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    r = torch.linspace(-1, 1, N, dtype=torch.float64)
    roomy = make().columns(index)
    monkeypatch.setattr(operators, "CACHE_BYTES", 100)
    tight = make().columns(index)
    torch.testing.assert_close(tight.matvec(values), roomy.matvec(values))
    torch.testing.assert_close(tight.rmatvec(r), roomy.rmatvec(r))


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 10**6))
def test_a_dense_operator_is_its_matrix(n: int, d: int, share: float, seed: int) -> None:
    rng = np.random.RandomState(seed)
    a, w, r = rng.normal(size=(n, d)), rng.normal(size=d) * (rng.uniform(size=d) < share), rng.normal(size=n)
    operator, weights = DenseOperator(torch.from_numpy(a)), SparseMatrix.from_dense(torch.from_numpy(w)[None, :])
    assert operator.shape == (n, 1, d)
    np.testing.assert_array_equal(operator.dense().numpy(), a)
    np.testing.assert_allclose(operator.matvec(weights).numpy(), a @ w, atol=1e-12)
    (tile,) = operator.rmatvec(torch.from_numpy(r))
    assert tile.rows.tolist() == [0]
    np.testing.assert_allclose(tile.values.numpy(), (a.T @ r)[None, :], atol=1e-12)
    support = operator.columns(weights.index)
    np.testing.assert_allclose(support.matvec(weights.values).numpy(), a @ w, atol=1e-12)
    np.testing.assert_allclose(support.rmatvec(torch.from_numpy(r)).numpy(), a[:, w != 0].T @ r, atol=1e-12)
