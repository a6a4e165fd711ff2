"""The streamed selection against a literal one on the vector of all weights, with ties, zeros, nan and inf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpiht_cli.linalg import fold
from mlpiht_cli.linalg.blockwise import BlockSelection, NoBuckets, OwnBuckets, Update
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.vector import Weights
from mlpiht_cli.rng import Streams

SELECTIONS = ["count_sketch", "accumulated", "magnitude"]


class Given:
    """Hash functions of known buckets and signs ``[4, entries]``."""

    def __init__(self, buckets: np.ndarray, signs: np.ndarray) -> None:
        self.of_entry = np.where(signs > 0, buckets, ~buckets).T.astype(np.int32)

    def codes(self, keys: np.ndarray) -> np.ndarray:
        return self.of_entry[keys]


class Case:
    """A selection, and the same one written out on the vector of all weights."""

    def __init__(self, rng: np.random.RandomState, selection: str, order: str, dtype: torch.dtype) -> None:
        self.rng, self.selection, self.order = rng, selection, order
        self.m, self.d, self.k = (int(rng.randint(1, top)) for top in (6, 5, 4))
        self.size = self.m * (self.d + self.k)
        self.s, self.width = int(rng.randint(1, self.size + 2)), int(rng.randint(1, 7))
        self.buckets, self.signs = rng.randint(0, self.width, (4, self.size)), rng.choice([-1, 1], (4, self.size))
        self.table, self.total = np.zeros((4, self.width), np.float32), np.zeros(self.size)
        self.held: np.ndarray = np.zeros(self.size)
        like = Weights(*(SparseMatrix.zeros(self.m, cols, torch.zeros(1, dtype=dtype)) for cols in (self.d, self.k)))
        self.weights = like
        self.streamed = BlockSelection(self.s, order, *self.sketch(), like)

    def sketch(self) -> tuple[Any, np.ndarray]:
        if self.selection == "count_sketch":
            return Given(self.buckets, self.signs), np.zeros((4, self.width), np.float32)
        if self.selection == "accumulated":
            return OwnBuckets(), np.zeros((1, self.size))
        return NoBuckets(), np.zeros((0, 1))

    def updates(self, kinds: list[float]) -> list[Update]:
        """Tiles of all neurons with weights and of some more, of which some have other weights than before."""
        known = torch.unique(torch.cat([self.weights.used, torch.from_numpy(np.flatnonzero(self.some(self.m)))]))
        tile = self.weights.of(known)
        weights = torch.cat([tile.hidden, tile.output], dim=1)
        fresh = torch.from_numpy(self.rng.choice([0.0, 1.0, -2.0], weights.shape)).to(weights.dtype)
        empty = torch.cat([(part == 0).all(dim=1, keepdim=True).expand_as(part) for part in tile[1:3]], dim=1)
        weights = torch.where(empty & torch.from_numpy(self.some(len(known)))[:, None], fresh, weights)
        change = torch.from_numpy(self.rng.choice(kinds, weights.shape))
        parts = torch.split(torch.arange(len(known)), int(self.rng.randint(1, 4)))
        return [Update(known[rows], weights[rows], change[rows]) for rows in parts if len(rows)]

    def some(self, count: int) -> np.ndarray:
        return self.rng.uniform(size=count) < 0.5

    def literal(self, updates: list[Update]) -> np.ndarray:
        blocks = []
        for update in updates:
            for j, old, change in zip(*(part.numpy() for part in update), strict=True):
                hidden, output = np.arange(self.d) + j * self.d, np.arange(self.k) + self.m * self.d + j * self.k
                moved = (old.astype(np.float64) + change).astype(old.dtype)
                blocks += [(hidden, *np.array([moved, change])[:, : self.d])]
                blocks += [(output, *np.array([moved, change])[:, self.d :])]
        if self.order == "global" and blocks:
            blocks = [tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))]
        for entries, moved, change in blocks:
            self.total[entries] += change
            for row in range(4):
                signed = (self.signs[row, entries] * change).astype(np.float32)
                np.add.at(self.table[row], self.buckets[row, entries], signed)
            self.held[entries] = moved
            nonzero = np.flatnonzero(self.held)
            if len(nonzero) > self.s:
                self.held[nonzero[np.argsort(self.sizes(nonzero), kind="stable")[: -self.s]]] = 0.0
        return self.held

    def sizes(self, entries: np.ndarray) -> np.ndarray:
        if self.selection == "count_sketch":
            rows = [self.table[row, self.buckets[row, entries]] * self.signs[row, entries] for row in range(4)]
            return np.abs(np.median(rows, axis=0))
        return np.abs((self.total if self.selection == "accumulated" else self.held)[entries])

    def step(self, kinds: list[float]) -> tuple[np.ndarray, np.ndarray]:
        """Our weights after a step, and the literal ones."""
        updates = self.updates(kinds)
        self.weights = self.streamed.keep(lambda: iter(updates))
        return flat(self.weights), self.literal(updates)


def flat(weights: Weights) -> np.ndarray:
    return np.concatenate([part.dense().double().numpy().ravel() for part in weights.parts])


@pytest.mark.parametrize("order", ["blocks", "global"])
@pytest.mark.parametrize("selection", SELECTIONS)
@settings(max_examples=150)
@given(st.integers(0, 2**31), st.sampled_from([torch.float32, torch.float64]))
def test_the_entries_that_stay_are_those_of_the_literal_selection(
    selection: str, order: str, seed: int, dtype: torch.dtype
) -> None:
    """Small integers tie often and cancel; of equal ones the highest key stays."""
    case = Case(np.random.RandomState(seed), selection, order, dtype)
    for _ in range(4):
        ours, theirs = case.step([-2.0, -1.0, 0.0, 0.0, 1.0, 2.0])
        np.testing.assert_array_equal(ours, theirs)
        assert np.count_nonzero(ours) <= case.s


@pytest.mark.parametrize("order", ["blocks", "global"])
@pytest.mark.parametrize("selection", SELECTIONS)
@settings(max_examples=150)
@given(st.integers(0, 2**31))
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_nan_ranks_above_inf_and_inf_above_all_numbers(selection: str, order: str, seed: int) -> None:
    case = Case(np.random.RandomState(seed), selection, order, torch.float64)
    for kinds in ([0.0, 1.0, -1.0], [0.0, 1.0, -1.0, np.inf], [1.0, 2.0, -np.inf, np.inf, np.nan], [0.0, 1.0]):
        ours, theirs = case.step(kinds)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_selection_of_all_blocks_together_is_a_direct_top_s(selection: str) -> None:
    m, d, k, s = 40, 30, 5, 25
    weights, change = torch.from_numpy(np.random.RandomState(0).normal(size=(2, m, d + k)))
    like = Weights(*(SparseMatrix.zeros(m, cols, weights) for cols in (d, k)))
    hashes = Streams(0).hashes(4, 90)
    sketch = {
        "count_sketch": (hashes, np.zeros((4, 90), np.float32)),
        "accumulated": (OwnBuckets(), np.zeros((1, m * (d + k)))),
        "magnitude": (NoBuckets(), np.zeros((0, 1))),
    }
    tiles = [Update(ids, weights[ids], change[ids]) for ids in torch.arange(m).split(7)]
    kept = flat(BlockSelection(s, "global", *sketch[selection], like).keep(lambda: iter(tiles)))
    moved, update = (np.concatenate([part[:, :d].ravel(), part[:, d:].ravel()]) for part in (weights + change, change))
    rank = np.abs(moved if selection == "magnitude" else update)
    if selection == "count_sketch":
        codes = hashes.codes(np.arange(m * (d + k)))
        signs, buckets, rows = np.where(codes < 0, -1, 1), np.where(codes < 0, ~codes, codes), []
        for row in range(4):
            table = np.bincount(buckets[:, row], signs[:, row] * update, 90)
            rows.append(table[buckets[:, row]] * signs[:, row])
        rank = np.abs(np.median(rows, axis=0))
    best = np.argsort(rank)[-s:]
    assert np.flatnonzero(kept).tolist() == sorted(best)
    np.testing.assert_array_equal(kept[best], moved[best])


def test_an_entry_dropped_early_returns_only_if_its_block_is_still_to_come() -> None:
    """One neuron: its hidden weight is dropped for its output weight, which then shrinks; all together it stays."""
    like = Weights(*(SparseMatrix.zeros(1, 1, torch.zeros(1)) for _ in range(2)))
    for order, left in (("blocks", 1), ("global", 0)):
        chosen = BlockSelection(1, order, NoBuckets(), np.zeros((0, 1)), like)
        for weights, change in (([0.0, 0.0], [0.0, 5.0]), ([0.0, 5.0], [3.0, -4.0])):
            update = Update(torch.tensor([0]), torch.tensor([weights]), torch.tensor([change], dtype=torch.float64))
            kept = chosen.keep(lambda update=update: iter([update]))
        assert np.flatnonzero(flat(kept)).tolist() == [left]


def test_weights_that_leave_the_numbers_become_infinite_without_a_warning() -> None:
    """Warnings are errors here; the loop of the fit tells of the divergence."""
    like = Weights(*(SparseMatrix.zeros(1, 1, torch.zeros(1)) for _ in range(2)))
    chosen = BlockSelection(2, "blocks", NoBuckets(), np.zeros((0, 1)), like)
    weights, change = torch.tensor([[np.inf, 0.0]]), torch.tensor([[-np.inf, 1e300]], dtype=torch.float64)
    kept = flat(chosen.keep(lambda: iter([Update(torch.tensor([0]), weights, change)])))
    np.testing.assert_array_equal(kept, [np.nan, np.inf])


def test_slots_are_those_of_the_budget_and_of_one_block() -> None:
    m, d, k, s = 50, 30, 4, 7
    like = Weights(*(SparseMatrix.zeros(m, cols, torch.zeros(1)) for cols in (d, k)))
    chosen = BlockSelection(s, "blocks", NoBuckets(), np.zeros((0, 1)), like)
    normal = torch.from_numpy(np.random.RandomState(0).normal(size=(m, d + k)))

    def tiles() -> Iterator[Update]:
        for ids in torch.arange(m).split(8):
            yield Update(ids, torch.zeros(len(ids), d + k), normal[ids])

    assert sum(len(part.index) for part in chosen.keep(tiles).parts) == s
    assert all(len(slots) == s + d for slots in chosen._held)


@given(st.lists(st.one_of(st.integers(-2, 2).map(float), st.just(float("inf"))), min_size=1, max_size=30), st.data())
def test_the_largest_values_are_found_among_ties(values: list[float], data: st.DataObject) -> None:
    s = data.draw(st.integers(1, len(values)))
    shuffled = np.array([*values, 99.0])  # what lies behind the count is left alone
    assert fold._largest(shuffled, len(values), s) == sorted(values)[-s]
    assert sorted(shuffled[:-1]) == sorted(values)
    assert shuffled[-1] == 99.0


numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(width=32))


@given(st.lists(numbers, min_size=4, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
@pytest.mark.filterwarnings("ignore:invalid value encountered", "ignore:overflow encountered")
def test_an_estimate_is_the_median_of_four_rows(rows: list[float], signs: list[bool]) -> None:
    table, codes = np.zeros((4, 2), np.float32), np.array([[1 if sign else ~1 for sign in signs]], np.int32)
    table[:, 1] = rows
    expected = np.median(np.where(signs, table[:, 1], -table[:, 1]))
    np.testing.assert_array_equal(np.float32(fold._estimate(table, codes, 0)), expected)
