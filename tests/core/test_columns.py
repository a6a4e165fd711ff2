"""Inputs feature by feature: shared by fits on the same inputs, and never kept for two."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import torch

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.columns import COLUMNS, Columns
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


def problem(seed: int) -> Problem:
    x = Streams(seed).planted_inputs(30, 4)
    return Problem(x, x[:, :1], x, x[:, :1], "psnr", peak=1.0)


def test_fits_on_the_same_inputs_share_them() -> None:
    first = problem(0)
    again = replace(first, y=2 * first.y).to(torch.device("cpu"), torch.float32)
    assert again.x is first.x, "inputs that are there already are not copied"
    found = [next(Batches(one, 0, Streams(0).batch_order()).epoch())[0] for one in (first, again)]
    assert found[0] is found[1]
    assert torch.equal(found[0], first.x.T)
    assert found[0].is_contiguous()
    assert torch.equal(problem(1).columns, problem(1).x.T), "those of other inputs are their own"


def test_they_live_no_longer_than_the_inputs_and_until_others_are_asked_for() -> None:
    kept, a, b = Columns(), torch.ones(5, 3), torch.ones(5, 3)
    of_a = weakref.ref(kept.of(a))
    kept.of(b)
    gc.collect()
    assert of_a() is None
    of_b = weakref.ref(kept.of(b))
    del b
    gc.collect()
    assert of_b() is None
    of_a = weakref.ref(kept.of(a))
    kept.free()
    assert of_a() is None


def test_inputs_that_were_written_to_are_read_again() -> None:
    one = problem(0)
    assert torch.equal(one.columns, one.x.T)
    one.x.mul_(2.0)
    assert torch.equal(one.columns, one.x.T)
    COLUMNS.free()
    assert torch.equal(one.columns, one.x.T)
