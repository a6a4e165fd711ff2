"""The Count Sketch against what its definition promises on average: random hashes, unbiased estimates."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from mlpiht_cli.linalg import fold
from mlpiht_cli.linalg.blockwise import BlockSelection, Moved, Update
from mlpiht_cli.linalg.countsketch import HASHES, sketch_width
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.vector import Weights
from mlpiht_cli.rng import Streams

SIZE, WIDTH, SEEDS = 40, 10, 400


def codes(seed: int) -> np.ndarray:
    return Streams(seed).hashes(HASHES, WIDTH).codes(np.arange(SIZE))


@cache
def matrices() -> np.ndarray:
    """The linear maps of the sketches of many seeds, ``[seeds, 4, width, size]``."""
    maps = np.zeros((SEEDS, HASHES, WIDTH, SIZE))
    for seed in range(SEEDS):
        for row, code in enumerate(codes(seed).T):
            maps[seed, row, np.where(code < 0, ~code, code), np.arange(SIZE)] = np.where(code < 0, -1, 1)
    return maps


def vector() -> np.ndarray:
    v = np.random.RandomState(0).normal(size=SIZE)
    v[3] = 8.0
    return v


def tile(seed: int, update: np.ndarray) -> Moved:
    """All entries as the blocks of one neuron."""
    return Moved(np.arange(SIZE)[None], np.ones((1, SIZE)), update[None], codes(seed)[None])


def test_updates_are_added_to_a_signed_bucket_of_each_row() -> None:
    for seed in range(20):
        table = np.zeros((HASHES, WIDTH), np.float32)
        for update in (vector(), np.arange(SIZE) / 8):
            fold.add(table, tile(seed, update))
        np.testing.assert_allclose(table, matrices()[seed] @ (vector() + np.arange(SIZE) / 8), rtol=1e-5, atol=1e-5)


def test_estimates_are_unbiased_with_the_known_error() -> None:
    v = vector()
    tables = matrices() @ v
    rows = np.einsum("zrwi,zrw->zri", matrices(), tables)
    sigma = np.sqrt(((v**2).sum() - v**2) / WIDTH)  # of one row's estimate
    for found in (rows, np.median(rows, axis=1)[:, None]):
        assert (np.abs(found.mean(axis=0) - v) < 4.5 * sigma / np.sqrt(SEEDS)).all()
    np.testing.assert_allclose(rows.std(axis=(0, 1)).mean(), sigma.mean(), rtol=0.03)
    ours = []
    for seed in range(SEEDS):
        table, moved = np.zeros((HASHES, WIDTH)), tile(seed, v)
        fold.add(table, moved)
        ours.append([fold._estimate(table, moved.codes[0], i) for i in range(SIZE)])
    np.testing.assert_allclose(ours, np.median(rows, axis=1), rtol=1e-10, atol=1e-12)
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


def test_buckets_are_uniform() -> None:
    counts = np.abs(matrices()).sum(axis=(0, 3))
    expected = SEEDS * SIZE / WIDTH
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_heavy_hitters_are_found() -> None:
    """Updates of 5000 weights, of which ten are large, through the selection itself."""
    d, k, s, recall = 4995, 5, 10, []
    heavy = torch.from_numpy(np.sort(np.random.RandomState(1).choice(d + k, s, replace=False)))
    change = 0.01 * torch.from_numpy(np.random.RandomState(0).normal(size=(1, d + k)))
    change[0, heavy] = torch.linspace(1, 3, s, dtype=torch.float64) * torch.tensor([1.0, -1.0] * (s // 2))
    like = Weights(*(SparseMatrix.zeros(1, cols, change) for cols in (d, k)))
    update = Update(torch.tensor([0]), torch.ones_like(change), change)
    for seed in range(30):
        hashes, table = Streams(seed).hashes(HASHES, 1000), np.zeros((HASHES, 1000), np.float32)
        kept = BlockSelection(s, "global", hashes, table, like).keep(lambda: iter([update]))
        dense = torch.cat([part.dense() for part in kept.parts], dim=1)[0]
        recall.append(float((dense[heavy] != 0).double().mean()))
    assert np.mean(recall) > 0.98
    assert recall.count(1.0) >= 25


@pytest.mark.parametrize(
    ("size", "s", "width"), [(1000, 10, 46), (100, 50, 50), (100, 90, 90), (10, 20, 20), (1, 1, 1), (784 * 50, 7, 60)]
)
def test_the_width_is_s_times_a_logarithm_of_at_least_one(size: int, s: int, width: int) -> None:
    assert sketch_width(size, s) == width
