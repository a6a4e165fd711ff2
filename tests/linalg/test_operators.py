"""The implicit operators against their dense twin, built here from the definition in a few lines of NumPy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg import (
    blocks,
    compiled,
    compiled_relu,
    compiled_vector,
    gated,
    kernels,
    loops,
    rows,
    simd,
    simd_layers,
)
from mlpiht_cli.linalg.compiled import CompiledOperator
from mlpiht_cli.linalg.gated import BACKEND, TorchOperator, gated_operator
from mlpiht_cli.linalg.gates import RandomGates, WeightGates
from mlpiht_cli.linalg.operators import DenseOperator, GatedOperator, SensingOperator, SupportOperator, Tile
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from tests.linalg.twins import dense, product

N, M, D = 37, 6, 5
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
BACKENDS = {"compiled": CompiledOperator, "torch": TorchOperator}

each_backend = pytest.mark.parametrize("backend", BACKENDS)


def dense_twin(x: np.ndarray, gates: np.ndarray, signs: np.ndarray) -> np.ndarray:
    return np.hstack([sign * (x @ h > 0)[:, None] * x for h, sign in zip(gates, signs, strict=True)])


def inputs(dtype: torch.dtype, n: int = N, d: int = D) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(0).normal(size=(n, d))).to(dtype)


def gate_matrix(kind: str, x: torch.Tensor, m: int, static: bool = False) -> tuple[Any, np.ndarray]:
    """A gate rule and its vectors: random ones, or sparse ones of which every second is zero (dead)."""
    if kind == "random":
        stream = Streams(3).gates(x.shape[1])
        return RandomGates(stream, m, x), stream.rows(0, m)
    h = np.random.RandomState(1).normal(size=(m, x.shape[1]))
    h[::2] = 0.0
    h[:, 0] = 0.0
    if kind == "all dead":
        h[:] = 0.0
    return WeightGates(SparseMatrix.from_dense(torch.from_numpy(h).to(x.dtype)), static), h


def tiles(operator: SensingOperator, residual: torch.Tensor, m: int, d: int) -> list[Tile]:
    descent = operator.descend(SparseMatrix.zeros(m, d, residual), -residual)
    assert torch.equal(descent.residual, residual)
    return list(descent.tiles)


def slopes(support: SupportOperator, residual: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """``A_S^T r``, from zero weights and the targets -r."""
    return support.quadratic(residual.new_zeros(len(index)), -residual, 0).gradient


def normal(support: SupportOperator, values: torch.Tensor, n: int, products: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``A_S^T A_S values`` and ``|A_S values|^2``; many products ask for a Gram matrix."""
    return support.quadratic(values, values.new_zeros(n), products).normal(values)


def dense_rmatvec(operator: SensingOperator, residual: torch.Tensor, m: int, d: int) -> np.ndarray:
    """All of ``A^T r``, from zero weights and the targets -r, with checks of the order of the tiles."""
    full, seen = np.zeros((m, d)), []
    for tile in tiles(operator, residual, m, d):
        seen += tile.rows.tolist()
        real = tile.rows.numpy() < m
        assert not tile.values.numpy()[~real].any(), "neurons past the last one are there to fill up"
        full[tile.rows.numpy()[real]] = tile.values.numpy()[real]
    assert seen == sorted(set(seen))
    return full.flatten()


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("tile", [1, 3, 100])
@pytest.mark.parametrize("kind", ["random", "weights", "all dead"])
@pytest.mark.parametrize("signed", [False, True])
def test_products_equal_the_dense_twin(backend: str, dtype: torch.dtype, tile: int, kind: str, signed: bool) -> None:
    x = inputs(dtype)
    gates, h = gate_matrix(kind, x, M, static=backend == "torch")
    signs = torch.tensor([1.0, -1.0] * (M // 2), dtype=dtype) if signed else None
    operator = BACKENDS[backend](x.T.contiguous(), gates, M, signs, tile)
    a = dense_twin(x.double().numpy(), h, np.ones(M) if signs is None else signs.numpy())
    rng = np.random.RandomState(2)
    w = rng.normal(size=(M, D)) * (rng.uniform(size=(M, D)) < 0.4)
    r = torch.from_numpy(rng.normal(size=N)).to(dtype)
    near = {"atol": TOLERANCE[dtype] * N, "rtol": TOLERANCE[dtype]}

    np.testing.assert_allclose(dense(operator, M * D, dtype).numpy(), a, **near)
    weights = SparseMatrix.from_dense(torch.from_numpy(w).to(dtype))
    np.testing.assert_allclose(product(operator, weights).numpy(), a @ w.flatten(), **near)
    assert all(len(piece.rows) <= tile for piece in tiles(operator, r, M, D))
    back = a.T @ r.double().numpy()
    np.testing.assert_allclose(dense_rmatvec(operator, r, M, D), back, **near)
    support, kept = operator.columns(weights.index), weights.index.numpy()
    np.testing.assert_allclose(slopes(support, r, weights.index).numpy(), back[kept], **near)
    image = a @ w.flatten()
    for products in (0, 100):
        product_, square = normal(support, weights.values, N, products)
        assert product_.dtype == square.dtype == torch.float64
        np.testing.assert_allclose(product_.numpy(), (a.T @ image)[kept], **near)
        np.testing.assert_allclose(float(square), image @ image, **near)
    descent = operator.descend(weights, r)
    np.testing.assert_allclose(descent.residual.numpy(), image - r.double().numpy(), **near)
    np.testing.assert_allclose(descent.gradient.numpy(), (a.T @ (image - r.double().numpy()))[kept], **near)


# Chunks, panels and tiles of all kinds: full, broken, one sample, one neuron, more panels than chunks.
sizes = st.tuples(st.integers(1, 700), st.integers(1, 9), st.integers(1, 11))


@given(sizes, st.integers(1, 11), st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_backends_agree_on_any_shape(
    shape: tuple[int, int, int], tile: int, words: int, panels: int, seed: int
) -> None:
    n, m, d = shape
    rng = np.random.RandomState(seed)
    x = torch.from_numpy(rng.normal(size=(n, d)))
    h = rng.normal(size=(m, d)) * (rng.uniform(size=(m, d)) < rng.choice([0.1, 0.5, 1.0]))
    rule = WeightGates(SparseMatrix.from_dense(torch.from_numpy(h)))
    index = torch.from_numpy(np.flatnonzero(rng.uniform(size=m * d) < 0.3))
    values, residual = torch.from_numpy(rng.normal(size=len(index))), torch.from_numpy(rng.normal(size=n))
    results = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "CHUNK_BYTES", 64 * 8 * words)
        patch.setattr(compiled, "PANELS", panels)
        for operator in (one(x.T.contiguous(), rule, m, None, tile) for one in BACKENDS.values()):
            support = operator.columns(index)
            products = support.matvec(values), *normal(support, values, n, 0), *normal(support, values, n, 100)
            results.append((*products, torch.from_numpy(dense_rmatvec(operator, residual, m, d))))
            results[-1] += tuple(operator.descend(SparseMatrix(index, values, m, d), residual)[1:3])
            results[-1] += (slopes(support, residual, index), operator.masks(torch.arange(m)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@each_backend
def test_an_empty_support_gives_zeros(backend: str) -> None:
    x = inputs(torch.float32)
    operator = BACKENDS[backend](x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M)
    support = operator.columns(torch.empty(0, dtype=torch.int64))
    assert torch.equal(support.matvec(torch.empty(0)), torch.zeros(N))
    assert slopes(support, torch.ones(N), torch.empty(0)).shape == (0,)
    assert float(normal(support, torch.empty(0), N, 10)[1]) == 0.0


@each_backend
def test_a_zero_gate_is_a_dead_neuron(backend: str) -> None:
    x = torch.ones(4, 2)
    gates = WeightGates(SparseMatrix.from_dense(torch.tensor([[0.0, 0.0], [1.0, 0.0]])))
    operator = BACKENDS[backend](x.T.contiguous(), gates, 2)
    a = dense(operator, 4, x.dtype)
    assert a[:, :2].abs().sum() == 0
    assert torch.equal(a[:, 2:], x)


@each_backend
def test_a_sample_on_the_hinge_is_closed_since_the_indicator_is_strict(backend: str) -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    gates = WeightGates(SparseMatrix.from_dense(torch.tensor([[1.0, 0.0]])))
    operator = BACKENDS[backend](x.T.contiguous(), gates, 1)
    assert dense(operator, 2, x.dtype).tolist() == [[0.0, 0.0], [1.0, 1.0]]


@each_backend
@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 7), st.integers(1, 11), st.integers(0, 5))
def test_adjoint_identity_holds_for_any_shape(backend: str, n: int, m: int, d: int, tile: int, seed: int) -> None:
    """<A w, r> = <w, A^T r>."""
    x = inputs(torch.float64, n, d)
    operator = BACKENDS[backend](x.T.contiguous(), RandomGates(Streams(seed).gates(d), m, x), m, tile=tile)
    w = np.random.RandomState(seed).normal(size=(m, d))
    r = torch.from_numpy(np.random.RandomState(seed + 1).normal(size=n))
    left = product(operator, SparseMatrix.from_dense(torch.from_numpy(w))) @ r
    np.testing.assert_allclose(float(left), dense_rmatvec(operator, r, m, d) @ w.flatten(), rtol=1e-9, atol=1e-9)


@each_backend
def test_masks_that_are_not_held_are_the_same(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide networks compute masks when they need them; few features make a network wide."""
    x, m = inputs(torch.float64, 200, 2), 300

    def products() -> list[torch.Tensor]:
        operator = BACKENDS[backend](x.T.contiguous(), RandomGates(Streams(0).gates(2), m, x), m, tile=7)
        support = operator.columns(torch.tensor([0, 1, 7, 29, 599]))
        r = torch.linspace(-1, 1, 200, dtype=torch.float64)
        return [
            support.matvec(torch.arange(5.0).double()),
            slopes(support, r, torch.arange(5)),
            torch.from_numpy(dense_rmatvec(operator, r, m, 2)),
            operator.masks(torch.arange(m)),
        ]

    monkeypatch.setattr(gated, "HELD_BYTES", 0)
    short = products()
    monkeypatch.setattr(gated, "HELD_BYTES", 2**28)
    monkeypatch.setattr(compiled, "HELD_SHARE", 10**9)
    for a, b in zip(short, products(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(short[3].numpy(), Streams(0).gates(2).rows(0, m) @ x.numpy().T > 0)


@pytest.mark.parametrize("kind", ["random", "weights"])
def test_the_number_of_threads_changes_nothing(kind: str) -> None:
    x = inputs(torch.float32, 50_000, 7)
    gates, _ = gate_matrix(kind, x, M)
    r = x[:, 3].contiguous()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            operator = CompiledOperator(x.T.contiguous(), gates, M)
            support = operator.columns(torch.tensor([0, 1, 9, 30, 41]))
            five = torch.arange(5.0)
            products = support.matvec(five), *normal(support, five, len(r), 0), *normal(support, five, len(r), 10)
            results.append((*products, torch.from_numpy(dense_rmatvec(operator, r, M, 7))))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_squares_beyond_float32_are_not_infinite() -> None:
    """|A_S v|^2 decides on the refinement's steps; data need not be standardised."""
    x = 1e20 * inputs(torch.float32, 3000)
    supports = [
        kind(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M).columns(torch.tensor([0, 7, 29]))
        for kind in BACKENDS.values()
    ]
    (_, ours), (_, theirs) = (normal(support, torch.tensor([1.0, -2.0, 3.0]), 3000, 0) for support in supports)
    assert float(ours) > torch.finfo(torch.float32).max
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("held", [True, False])
def test_coordinates_that_fill_up_are_zero_columns(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not held:
        monkeypatch.setattr(gated, "HELD_BYTES", 0)
    x = inputs(torch.float64)
    operator = TorchOperator(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M)
    support = operator.columns(torch.tensor([1, M * D, M * D]))
    back = slopes(support, x[:, 0].contiguous(), torch.arange(3))
    assert back[0] != 0.0
    assert back[1:].tolist() == [0.0, 0.0]


def test_an_unknown_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND, "Torch")
    x = inputs(torch.float32)
    with pytest.raises(InputError, match="MLPIHT_BACKEND=Torch: use compiled"):
        gated_operator(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M)


@pytest.mark.parametrize(
    ("module", "base"),
    [
        (simd_layers, simd),
        (loops, simd_layers),
        (blocks, loops),
        (kernels, blocks),
        (compiled_relu, loops),
        (rows, loops),
        (compiled_vector, kernels),
    ],
)
def test_a_change_of_shared_loops_is_a_change_of_what_is_built_on_them(module: Any, base: Any) -> None:
    """Numba would go on with old machine code otherwise: put the new start of the hash into the module's file."""
    now = hashlib.sha256(Path(base.__file__).read_bytes()).hexdigest()
    assert now.startswith(module.BUILT_ON)


def test_processors_run_the_compiled_operator_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    x = inputs(torch.float32)

    def kind() -> type[GatedOperator]:
        return type(gated_operator(x.T.contiguous(), RandomGates(Streams(0).gates(D), M, x), M))

    assert kind() is CompiledOperator
    monkeypatch.setenv(BACKEND, "torch")
    assert kind() is TorchOperator


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 10**6))
def test_a_dense_operator_is_its_matrix(n: int, d: int, share: float, seed: int) -> None:
    rng = np.random.RandomState(seed)
    a, w, r = rng.normal(size=(n, d)), rng.normal(size=d) * (rng.uniform(size=d) < share), rng.normal(size=n)
    operator, weights = DenseOperator(torch.from_numpy(a)), SparseMatrix.from_dense(torch.from_numpy(w)[None, :])
    np.testing.assert_array_equal(dense(operator, d, torch.float64).numpy(), a)
    np.testing.assert_allclose(product(operator, weights).numpy(), a @ w, atol=1e-12)
    (tile,) = tiles(operator, torch.from_numpy(r), 1, d)
    assert tile.rows.tolist() == [0]
    np.testing.assert_allclose(tile.values.numpy(), (a.T @ r)[None, :], atol=1e-12)
    support = operator.columns(weights.index)
    np.testing.assert_allclose(support.matvec(weights.values).numpy(), a @ w, atol=1e-12)
    back = slopes(support, torch.from_numpy(r), weights.index)
    np.testing.assert_allclose(back.numpy(), a[:, w != 0].T @ r, atol=1e-12)
    np.testing.assert_allclose(normal(support, weights.values, n, 1)[0].numpy(), a[:, w != 0].T @ a @ w, atol=1e-10)


def test_masks_let_nan_through() -> None:
    """A nan in the data must not look like a closed sample, or a fit would not diverge."""
    data = blocks.Masked(np.zeros((1, 4), np.float32), np.zeros((1, 1), np.uint64), 64)
    source, out = np.array([1.0, np.nan, np.inf, 2.0], np.float32), np.empty(4, np.float32)
    kernels.masked(data, 0, 0, source, out)
    np.testing.assert_array_equal(out, [0.0, np.nan, np.nan, 0.0])


def test_targets_and_residuals_need_not_be_contiguous() -> None:
    x, r = inputs(torch.float64), torch.arange(2.0 * N, dtype=torch.float64)[::2]
    found = [
        operator(x.T.contiguous(), RandomGates(Streams(3).gates(D), M, x), M).descend(SparseMatrix.zeros(M, D, x), r)
        for operator in BACKENDS.values()
    ]
    assert torch.equal(found[0].residual, -r)
    for ours, theirs in zip(found[0].tiles, found[1].tiles, strict=True):
        torch.testing.assert_close(ours.values, theirs.values)
    with pytest.raises(ValueError, match="contiguous"):
        CompiledOperator(x.T, RandomGates(Streams(3).gates(D), M, x), M)


@given(st.integers(2, 70), st.integers(0, 10**6))
def test_equal_columns_have_equal_sums(s: int, seed: int) -> None:
    """Otherwise rounding would break ties, which go to the lowest index."""
    rng = np.random.RandomState(seed)
    one, other = rng.choice(s, 2, replace=False)
    x = rng.normal(size=(130, s)).astype(np.float32)
    x[:, other] = x[:, one]
    rule = WeightGates(SparseMatrix.from_dense(torch.from_numpy(rng.normal(size=(1, s)).astype(np.float32))))
    operator = CompiledOperator(torch.from_numpy(x.T.copy()), rule, 1)
    index, y = torch.arange(s), torch.from_numpy(rng.normal(size=130).astype(np.float32))
    descent = operator.descend(SparseMatrix(index, y[:1].expand(s).contiguous(), 1, s), y)
    (tile,) = descent.tiles
    values = torch.from_numpy(rng.normal(size=s))
    for products in (0, 100):
        model = descent.support.quadratic(values, y, products)
        for found in (descent.gradient, tile.values[0], model.gradient, model.normal(values)[0]):
            assert found[one] == found[other]
