"""Packed networks: they come back, and their size is near what information theory allows."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.packed import pack, packed_size, unpack
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.linalg.sparse import SparseMatrix


def layer(seed: int, rows: int, cols: int, share: float, dtype: torch.dtype = torch.float32) -> SparseMatrix:
    g = torch.Generator().manual_seed(seed)
    kept = torch.rand(rows, cols, generator=g) < share
    return SparseMatrix.from_dense(torch.randn(rows, cols, generator=g, dtype=dtype) * kept)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def fused(seed: int, m: int, d: int, share: float) -> SparseMLP:
    return SparseMLP((layer(seed, m, d, share),), torch.ones(m))


def assert_same(one: SparseMLP, other: SparseMLP) -> None:
    assert one.dtype == other.dtype
    assert len(one.layers) == len(other.layers)
    for a, b in zip(one.layers, other.layers, strict=True):
        assert (a.rows, a.cols) == (b.rows, b.cols)
        assert a.compact().equals(b), "the same places and the same bits"
    for first, second in ((one.readout, other.readout), (one.bias, other.bias)):
        assert (first is None) == (second is None)
        assert first is None or second is None or first.equal(second)


SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=4)


@given(
    SIZES, st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.sampled_from(["", "plain", "signs", "free"]), st.integers(0, 99)
)
@settings(max_examples=150, deadline=None)
def test_every_network_comes_back(sizes: list[int], share: float, readout: str, seed: int) -> None:
    dtype = torch.float64 if seed % 3 == 0 else torch.float32
    layers = tuple(layer(seed + i, b, a, share, dtype) for i, (a, b) in enumerate(pairwise(sizes)))
    g, m = torch.Generator().manual_seed(seed), sizes[-1]
    signs = {"plain": torch.ones(m), "signs": torch.randint(2, (m,), generator=g) * 2.0 - 1, "free": normal(seed, m)}
    bias = torch.randn(sizes[1], generator=g, dtype=dtype) if seed % 2 else None
    vector = signs[readout].to(dtype) if readout else None
    net = SparseMLP(layers, vector, None, bias)
    back = unpack(pack(net))
    if vector is not None and not (len(layers) == 1 and bias is not None):  # signs of silent neurons are not kept
        vector[[i for i in range(m) if i not in layers[-1].live_rows().tolist()]] = 1.0
    assert_same(net, back)
    x = torch.randn(20, sizes[0], generator=g, dtype=dtype)
    assert net.forward(x).equal(back.forward(x))


def test_gates_of_live_neurons_come_back() -> None:
    weights = layer(1, 6, 30, 0.02)
    live = weights.live_rows().tolist()
    assert 0 < len(live) < 6
    net = SparseMLP((weights,), torch.ones(6), SparseMatrix.from_dense(normal(0, 6, 30)))
    back = unpack(pack(net))
    x = normal(2, 50, 30)
    assert net.forward(x).equal(back.forward(x))
    assert back.gates is not None
    assert back.gates.live_rows().tolist() == live
    assert packed_size(net) - packed_size(replace(net, gates=None)) > 0.8 * 4 * 30 * len(live), "random gates weigh"


def test_entries_that_are_zero_weigh_nothing() -> None:
    full = fused(2, 5, 40, 0.1)
    index = torch.arange(5 * 40)
    padded = SparseMLP((SparseMatrix(index, full.layers[0].dense().flatten(), 5, 40),), full.readout)
    assert pack(padded) == pack(full)
    assert packed_size(SparseMLP.silent([784, 100, 10], torch.zeros(1))) < 20


def test_bytes_by_hand() -> None:
    """Flags, depth, inputs, neurons, nonzeros; 1 and 300 places free before a weight (two bytes); two floats."""
    weights = SparseMatrix(torch.tensor([1, 302]), torch.tensor([1.0, -0.1]), 2, 200)
    data = pack(SparseMLP((weights,), torch.ones(2)))
    gaps, values = bytes([2 * 3, 1, 0b10101100, 0b10]), weights.values.numpy()
    planes = bytes(b for i in range(4) for b in (values[0].tobytes()[i], values[1].tobytes()[i]))
    assert data == bytes([8, 1, 0b11001000, 1, 2, 2]) + gaps + bytes([2 * 8]) + planes


@pytest.mark.parametrize(("m", "d", "s"), [(100, 784, 1000), (1000, 100, 500), (20, 100, 200)])
def test_random_networks_are_near_the_bound(m: int, d: int, s: int) -> None:
    """Places of s in m d cannot be told in less than log2 of their number of choices; values have 32 bits, or less."""
    g = torch.Generator().manual_seed(0)
    index = torch.randperm(m * d, generator=g)[:s].sort().values
    net = SparseMLP((SparseMatrix(index, torch.randn(s, generator=g), m, d),), torch.ones(m))
    n = m * d
    places = (math.lgamma(n + 1) - math.lgamma(s + 1) - math.lgamma(n - s + 1)) / math.log(2) / 8
    size = packed_size(net)
    assert places + 0.75 * 4 * s < size < 1.25 * places + 4 * s + 20
    dense = len(torch.zeros(n).numpy().tobytes())
    assert size < dense / 5


def test_order_and_repetition_make_networks_light() -> None:
    """Equal values, and weights on few inputs, are short to tell."""
    equal = SparseMLP((SparseMatrix(torch.arange(0, 9000, 9), torch.full((1000,), 0.5), 10, 900),), torch.ones(10))
    assert packed_size(equal) < 60
    chance = fused(3, 10, 900, 1 / 9)
    assert packed_size(chance) > 3000


def test_signs_weigh_a_bit_for_each_live_neuron() -> None:
    net = fused(4, 800, 5, 0.05)
    live = len(net.layers[0].live_rows())
    assert 100 < live < 300
    signs = torch.where(torch.rand(800, generator=torch.Generator().manual_seed(1)) < 0.5, 1.0, -1.0)
    assert packed_size(replace(net, readout=signs)) - packed_size(net) == -(-live // 8)


def test_damaged_bytes_are_refused_and_never_hang() -> None:
    good = pack(SparseMLP((layer(5, 20, 30, 0.1), layer(6, 3, 20, 0.5)), None, None, normal(0, 20)))
    outcomes = set()
    for i in range(len(good)):
        for data in (good[:i], good[:i] + bytes([good[i] ^ 0xFF]) + good[i + 1 :]):
            try:
                unpack(data)
                outcomes.add("a network")
            except ValueError as error:
                outcomes.add(str(error).partition(":")[0])
    assert outcomes <= {"a network", "no packed network"}
    assert "no packed network" in outcomes
    for text in (b"", bytes(9), b"\xff" * 40):
        with pytest.raises(ValueError, match="no packed network"):
            unpack(text)


def test_every_network_is_scored_by_its_size() -> None:
    net = fused(7, 4, 6, 0.5)
    x, y = normal(0, 10, 6), torch.zeros(10, 1)
    scored = evaluate(net, Problem(x, y, x, y, "psnr", peak=1.0))
    assert scored is not None
    assert scored.more["packed_bytes"] == len(pack(net))
