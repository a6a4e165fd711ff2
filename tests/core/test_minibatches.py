"""Minibatches: their order, their shapes and their memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.core.batches import Batches, gathered
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


def problem(n: int, d: int = 3, k: int = 2) -> Problem:
    """Inputs and targets that name their sample, their feature and their output."""
    x = 100.0 * torch.arange(n)[:, None] + torch.arange(d)
    y = -100.0 * torch.arange(n)[:, None] - torch.arange(k)
    return Problem(x, y, x, y, "psnr")


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 3), st.integers(0, 9))
def test_batches_are_spans_of_a_new_order_at_every_epoch(n: int, size: int, k: int, seed: int) -> None:
    data = problem(n, k=k)
    batches, order = Batches(data, size, Streams(seed).batch_order()), torch.Generator().manual_seed(seed + 3)
    assert batches.full == (size >= n)
    for _ in range(3):
        spans = torch.randperm(n, generator=order).split(size) if size < n else [torch.arange(n)]
        found = [(features.clone(), targets.clone()) for features, targets in batches.epoch()]
        assert len(found) == len(spans)
        for (features, targets), rows in zip(found, spans, strict=True):
            assert torch.equal(features, data.x[rows].T), "feature by feature, [d, b]"
            assert torch.equal(targets, data.y[rows].T), "output by output, [k, b]"


@pytest.mark.parametrize("size", [0, 4, 10, 20])
def test_inputs_and_targets_are_contiguous(size: int) -> None:
    for features, targets in Batches(problem(10), size, Streams(0).batch_order()).epoch():
        assert features.is_contiguous()
        assert targets.is_contiguous()


def test_the_full_batch_is_the_same_tensor_every_time_and_draws_no_order() -> None:
    orders = Streams(0).batch_order()
    batches = Batches(problem(10), 0, orders)
    (first,), (second,) = batches.epoch(), batches.epoch()
    assert first[0] is second[0]
    assert first[1] is second[1]
    assert torch.equal(orders.draw(10), Streams(0).batch_order().draw(10))


def test_a_batch_reuses_the_memory_of_the_inputs_but_not_of_the_targets() -> None:
    places = [(x.data_ptr(), y) for x, y in Batches(problem(8), 4, Streams(0).batch_order()).epoch()]
    assert places[0][0] == places[1][0]
    assert not torch.equal(places[0][1], places[1][1])


def test_an_epoch_can_be_asked_for_its_order_alone() -> None:
    order, spans = Batches(problem(10), 4, Streams(0).batch_order()).next_epoch()
    assert order is not None
    assert torch.equal(order, Streams(0).batch_order().draw(10))
    assert spans == [(0, 4), (4, 8), (8, 10)]
    assert Batches(problem(10), 0, Streams(0).batch_order()).next_epoch() == (None, [(0, 10)])


@given(st.integers(1, 70), st.integers(1, 40), st.sampled_from([torch.float32, torch.float64]), st.integers(0, 9))
def test_rows_become_columns_in_the_order_that_is_asked_for(size: int, d: int, dtype: torch.dtype, seed: int) -> None:
    x = torch.arange(80 * d, dtype=dtype).reshape(80, d)
    rows = torch.randint(80, (size,), generator=torch.Generator().manual_seed(seed))
    room = x.new_full((d, size), -1.0)
    for source in (x, x.T.contiguous().T):
        found = gathered(source, rows, room.fill_(-1.0))
        assert found.data_ptr() == room.data_ptr()
        assert torch.equal(found, x[rows].T)
    assert torch.equal(gathered(x, rows), x[rows].T)
