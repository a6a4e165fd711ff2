from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli import rng
from mlpiht_cli.rng import NormalRows, Streams, UniformRows


def rows(kind: str, dim: int, seed: int = 0) -> NormalRows | UniformRows:
    return Streams(seed).gates(dim) if kind == "gates" else Streams(seed).revival(dim)


each_kind = pytest.mark.parametrize("kind", ["gates", "revival"])


@each_kind
@given(st.integers(1, 9), st.integers(0, 30), st.integers(1, 20), st.integers(0, 99))
def test_a_row_is_the_same_in_any_tile(kind: str, dim: int, start: int, count: int, seed: int) -> None:
    whole = rows(kind, dim, seed).rows(0, start + count)
    assert whole.shape == (start + count, dim)
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(rows(kind, dim, seed).rows(start, start + count), whole[start:])


@each_kind
def test_a_row_is_the_same_at_every_call_and_differs_from_seed_to_seed_and_from_layer_to_layer(kind: str) -> None:
    stream = rows(kind, 6)
    np.testing.assert_array_equal(stream.rows(2, 5), stream.rows(2, 5))
    deeper = Streams(0).for_layer(1)
    for other in (rows(kind, 6, seed=1), deeper.gates(6) if kind == "gates" else deeper.revival(6)):
        assert not np.isclose(stream.rows(0, 9), other.rows(0, 9)).any()
    assert len(np.unique(stream.rows(0, 50))) == 300, "no number comes twice"


@given(st.integers(1, 25), st.integers(1, 5), st.integers(0, 99))
def test_planted_inputs_are_one_draw_and_are_kept(n: int, d: int, seed: int) -> None:
    streams = Streams(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rng, "_ROWS", 7)  # a part of an odd number of samples ends within a pair of the generator
        found = streams.planted_inputs(n, d)
    expected = np.random.RandomState(seed + 2).normal(size=(n, d)).astype(np.float32)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert streams.planted_inputs(n, d) is found
    assert streams == Streams(seed), "what is kept does not make them other streams"
    assert streams.planted_inputs(n + 1, d).shape == (n + 1, d)
    assert streams.planted_inputs(n, d) is not found, "the last ones alone are kept"


def test_gates_are_standard_normal() -> None:
    z = Streams(0).gates(100).rows(0, 5000)
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1.0) < 0.01
    assert abs((z**4).mean() - 3.0) < 0.1
    # No correlation between the halves of a row, which the transform makes from the same uniforms.
    assert abs((z[:, :50] * z[:, 50:]).mean()) < 0.01
    assert abs((z[1:] * z[:-1]).mean()) < 0.01


def test_numbers_of_revived_blocks_are_uniform_on_minus_one_to_one() -> None:
    u = Streams(0).revival(100).rows(0, 5000)
    assert -1.0 < u.min() < -0.9999
    assert 0.9999 < u.max() < 1.0
    counts, _ = np.histogram(u, bins=20, range=(-1, 1))
    assert np.abs(counts - 25_000).max() < 5 * np.sqrt(25_000)
    assert abs((u[:, :50] * u[:, 50:]).mean()) < 0.005
    assert abs((u[1:] * u[:-1]).mean()) < 0.005


def test_streams_of_different_seeds_differ() -> None:
    assert not np.allclose(Streams(0).gates(4).rows(0, 3), Streams(1).gates(4).rows(0, 3))
    assert (Streams(0).split().permutation(50) != Streams(1).split().permutation(50)).any()


@given(st.integers(1, 50), st.integers(0, 99))
def test_orders_are_torchs_permutations_of_one_generator(n: int, seed: int) -> None:
    orders, generator = Streams(seed).batch_order(), torch.Generator().manual_seed(seed + 3)
    for _ in range(3):
        assert torch.equal(orders.draw(n), torch.randperm(n, generator=generator))


keys = st.lists(st.one_of(st.integers(0, 50), st.integers(0, 2**32 - 1)), min_size=1, max_size=20)


@given(keys, st.integers(1, 5), st.one_of(st.integers(1, 9), st.integers(1, 2**31 - 1)), st.integers(0, 99))
def test_hashes_are_multiply_shift_in_exact_integers(keys: list[int], count: int, width: int, seed: int) -> None:
    hashes = Streams(seed).hashes(count, width)
    codes = hashes.codes(np.array(keys))
    assert (codes.shape, codes.dtype) == ((len(keys), count), np.int32)
    for found, key in zip(codes.tolist(), keys, strict=True):
        for code, (a, b) in zip(found, hashes.words.tolist(), strict=True):
            bits = ((a * key + b) % 2**64) >> 32
            bucket = ((bits >> 1) * width) >> 31
            assert 0 <= bucket < width
            assert code == (bucket if bits & 1 else -bucket - 1)


def test_codes_have_the_shape_of_their_keys_and_the_same_words_for_any_width() -> None:
    grid, hashes = np.arange(12).reshape(3, 4), Streams(0).hashes(4, 7)
    np.testing.assert_array_equal(hashes.codes(grid), hashes.codes(grid.ravel()).reshape(3, 4, 4))
    np.testing.assert_array_equal(hashes.words, Streams(0).hashes(4, 9).words)
    assert (hashes.words != Streams(1).hashes(4, 7).words).all()


def test_restarts_have_their_own_draws_of_a_method_and_the_first_start_is_the_plain_one() -> None:
    plain, other = Streams(5), Streams(5).for_restart(2)
    assert Streams(5).for_restart(0) == plain
    assert other.for_layer(1).restart == 2
    assert not np.isclose(plain.gates(4).rows(0, 3), other.gates(4).rows(0, 3)).any()
    draws = [torch.rand(9, generator=one.initial_weights()) for one in (plain, other, Streams(5).for_restart(3))]
    orders = [one.batch_order().draw(50) for one in (plain, other, Streams(5).for_restart(3))]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not torch.equal(draws[a], draws[b])
        assert not torch.equal(orders[a], orders[b])
    assert torch.equal(draws[1], torch.rand(9, generator=Streams(5).for_restart(2).initial_weights()))
