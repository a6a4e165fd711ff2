"""The Count Sketch against its definition, and against what its definition promises on average."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.countsketch import HASHES, CountSketch, sketch_width
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams

CPU = torch.device("cpu")
SIZE, WIDTH, SEEDS = 40, 10, 400


def sketch(size: int, width: int, seed: int = 0) -> CountSketch:
    return CountSketch(size, width, Streams(seed).hashes(HASHES), CPU)


def normal(size: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(seed).normal(size=size))


def matrix(one: CountSketch, size: int) -> np.ndarray:
    """The linear map of a sketch, ``[4, width, size]``, from the sketches of the unit vectors."""
    return np.stack([one.encode(unit).numpy() for unit in torch.eye(size)], axis=2)


@cache
def matrices() -> np.ndarray:
    """The maps of many seeds, ``[seeds, 4, width, size]``."""
    return np.stack([matrix(sketch(SIZE, WIDTH, seed), SIZE) for seed in range(SEEDS)])


def test_hashes_are_multiply_shift_in_exact_integers() -> None:
    size, width = 50, 7
    expected = np.zeros((HASHES, width, size))
    for row, (a, b) in enumerate(Streams(3).hashes(HASHES).tolist()):
        for key in range(size):
            bits = ((a * key + b) % 2**64) >> 32
            expected[row, ((bits >> 1) * width) >> 31, key] = 1 if bits & 1 else -1
    np.testing.assert_array_equal(matrix(sketch(size, width, 3), size), expected)


def test_an_estimate_is_the_median_of_four_rows() -> None:
    one, v = sketch(SIZE, WIDTH), normal(SIZE)
    table = one.encode(v)
    assert (one.empty().shape, table.shape, table.dtype) == ((4, WIDTH), (4, WIDTH), torch.float64)
    assert not one.empty().any()
    hashed = matrix(one, SIZE)
    np.testing.assert_allclose(table.numpy(), hashed @ v.numpy(), rtol=1e-12)
    rows = np.einsum("rwi,rw->ri", hashed, table.numpy())
    np.testing.assert_allclose(one.estimate(table).numpy(), np.median(rows, axis=0), rtol=1e-12)


def test_estimates_are_unbiased_with_the_known_error() -> None:
    v = normal(SIZE).numpy()
    v[3] = 8.0
    tables = matrices() @ v
    rows = np.einsum("zrwi,zrw->zri", matrices(), tables)
    sigma = np.sqrt(((v**2).sum() - v**2) / WIDTH)  # of one row's estimate
    for found in (rows, np.median(rows, axis=1)[:, None]):
        assert (np.abs(found.mean(axis=0) - v) < 4.5 * sigma / np.sqrt(SEEDS)).all()
    np.testing.assert_allclose(rows.std(axis=(0, 1)).mean(), sigma.mean(), rtol=0.03)
    ours = [sketch(SIZE, WIDTH, seed).estimate(torch.from_numpy(tables[seed])).numpy() for seed in range(SEEDS)]
    assert (np.abs(np.mean(ours, axis=0) - v) < 4.5 * sigma / np.sqrt(SEEDS)).all()


def test_keys_collide_once_in_width_pairs_and_signs_balance() -> None:
    shared = np.einsum("zrwi,zrwj->rij", np.abs(matrices()), np.abs(matrices())) / SEEDS
    signed = np.einsum("zrwi,zrwj->rij", matrices(), matrices()) / SEEDS
    first, second = np.triu_indices(SIZE, 1)
    pairs = shared[:, first, second]
    assert pairs.mean() == pytest.approx(1 / WIDTH, rel=0.02)
    assert (np.abs(pairs - 1 / WIDTH) < 5 * np.sqrt(0.1 * 0.9 / SEEDS)).all(), "every pair, not the average pair"
    assert np.abs(signed[:, first, second].mean()) < 0.002
    assert np.abs(matrices().sum(axis=(2, 3)).mean()) < 0.02 * SIZE
    assert not (matrices()[:, 0] == matrices()[:, 1]).all(axis=(1, 2)).any(), "the rows hash differently"


@given(st.integers(1, 60), st.integers(1, 12), st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_updates_may_come_in_any_grouping(size: int, width: int, groups: list[int]) -> None:
    one = sketch(size, width)
    updates = [normal(size, seed) for seed in range(len(groups))]
    table = one.empty()
    for group in sorted(set(groups)):
        table += one.encode(torch.stack([u for u, own in zip(updates, groups, strict=True) if own == group]).sum(0))
    torch.testing.assert_close(table, one.encode(torch.stack(updates).sum(0)), rtol=0, atol=1e-12)
    estimate = one.estimate(table)
    each = torch.zeros(HASHES, width, dtype=torch.float64)
    for update in updates:
        each += one.encode(update)
    torch.testing.assert_close(one.estimate(each), estimate, rtol=0, atol=1e-12)


def test_heavy_hitters_are_found() -> None:
    size, s = 5000, 10
    heavy = torch.from_numpy(np.sort(np.random.RandomState(1).choice(size, s, replace=False)))
    v = 0.01 * normal(size)
    v[heavy] = torch.linspace(1, 3, s, dtype=torch.float64) * torch.tensor([1.0, -1.0] * (s // 2))
    sketches = [sketch(size, 1000, seed) for seed in range(30)]
    recall = [float(torch.isin(top_s(one.estimate(one.encode(v)), s), heavy).double().mean()) for one in sketches]
    assert np.mean(recall) > 0.98
    assert recall.count(1.0) >= 25


def test_float32_updates_are_summed_in_float64() -> None:
    one = sketch(1, 1)
    table = one.encode(torch.tensor([1.0])) + one.encode(torch.tensor([1e-12]))
    assert float(one.estimate(table)) == 1.0 + float(torch.tensor(1e-12))


@pytest.mark.parametrize(
    ("size", "s", "width"), [(1000, 10, 46), (100, 50, 50), (100, 90, 90), (10, 20, 20), (1, 1, 1), (784 * 50, 7, 60)]
)
def test_the_width_is_s_times_a_logarithm_of_at_least_one(size: int, s: int, width: int) -> None:
    assert sketch_width(size, s) == width


@pytest.mark.parametrize(("size", "width"), [(0, 5), (2**32, 5), (5, 0), (5, 2**31)])
def test_sizes_beyond_the_hash_functions_are_refused(size: int, width: int) -> None:
    with pytest.raises(ValueError, match="fewer than"):
        sketch(size, width)
