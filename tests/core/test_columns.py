"""Inputs feature by feature: shared by fits on the same inputs, and never kept for two."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.columns import COLUMNS, Columns
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


def problem(seed: int) -> Problem:
    x = Streams(seed).planted_inputs(30, 4)
    return Problem(x, x[:, :1], x, x[:, :1], "psnr", peak=1.0)


@pytest.mark.parametrize("shared", [True, False])
def test_fits_share_inputs_of_a_problem_or_of_all_problems(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COLUMNS, "shared", shared)
    first = problem(0)
    assert first.to(torch.device("cpu"), torch.float32) is first
    again = replace(first, y=2 * first.y).to(torch.device("cpu"), torch.float32)
    assert again.x is first.x, "inputs that are there already are not copied"
    found = [next(Batches(one, 0, Streams(0).batch_order()).epoch())[0] for one in (first, first, again)]
    assert found[0] is found[1]
    assert (found[2] is found[0]) == shared
    assert all(torch.equal(one, first.x.T) for one in found)
    assert (COLUMNS.known(first.x) is found[2]) == shared
    assert found[0].is_contiguous()
    assert torch.equal(problem(1).columns, problem(1).x.T), "those of other inputs are their own"


def test_they_live_no_longer_than_the_inputs_and_until_others_are_asked_for() -> None:
    kept, a, b = Columns(), problem(0), problem(1)
    of_a = weakref.ref(kept.of(a.x, a))
    kept.of(b.x, b)
    gc.collect()
    assert of_a() is None
    of_b = weakref.ref(kept.of(b.x, b))
    del b
    gc.collect()
    assert of_b() is None
    of_a = weakref.ref(kept.of(a.x, a))
    kept.free()
    assert of_a() is None


def test_inputs_that_were_written_to_are_read_again() -> None:
    one = problem(0)
    assert torch.equal(one.columns, one.x.T)
    one.x.mul_(2.0)
    assert torch.equal(one.columns, one.x.T)
    COLUMNS.free()
    assert torch.equal(one.columns, one.x.T)


def test_a_new_problem_reads_inputs_that_numpy_wrote_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch does not count such writes, so only problems of a runner, whose inputs nobody else has, share columns."""
    monkeypatch.setattr(COLUMNS, "shared", False)
    array = np.ones((5, 3), np.float32)
    x = torch.from_numpy(array)
    first = Problem(x, x[:, :1], x, x[:, :1], "psnr")
    assert torch.equal(Columns().of(x, first), x.T)
    one = first.columns
    array[:] = 2.0
    second = replace(first)
    assert torch.equal(second.columns, 2.0 * torch.ones(3, 5))
    assert torch.equal(one, torch.ones(3, 5))


def test_inputs_of_inference_mode_have_columns() -> None:
    with torch.inference_mode():
        x = torch.ones(5, 3)
        assert torch.equal(Columns().of(x, x), x.T)
