"""Sharing work among threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg import threads
from mlpiht_cli.linalg.threads import kernel_threads, share


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(st.integers(1, 6), st.integers(1, 20))
def test_spans_cover_everything_once(count: int, items: int) -> None:
    torch.set_num_threads(count)
    seen: list[int] = []
    workers: set[int] = set()

    def kernel(scale: int, span: tuple[int, int]) -> None:
        workers.add(threading.get_ident())
        seen.extend(scale * i for i in range(*span))

    share(kernel, items, 3)
    assert sorted(seen) == [3 * i for i in range(items)]
    assert len(workers) <= min(count, items)


def test_kernels_keep_the_threads_that_torch_lends() -> None:
    torch.set_num_threads(3)
    spans: list[tuple[int, int]] = []
    with kernel_threads():
        assert torch.get_num_threads() == 1, "torch's idle threads would spin"
        share(spans.append, 6)
        with kernel_threads():
            share(spans.append, 3)
        assert torch.get_num_threads() == 1
    assert sorted(spans) == [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (4, 6)]
    assert torch.get_num_threads() == 3


def test_the_threads_come_back_after_an_error() -> None:
    torch.set_num_threads(2)
    with pytest.raises(KeyboardInterrupt), kernel_threads():
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


def test_an_error_of_any_thread_is_raised() -> None:
    torch.set_num_threads(2)

    def kernel(span: tuple[int, int]) -> None:
        if span[0]:
            raise ArithmeticError("the second half")

    with pytest.raises(ArithmeticError, match="second half"):
        share(kernel, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_its_own_threads() -> None:
    torch.set_num_threads(2)
    share(lambda span: None, 2)
    child = os.fork()
    if not child:
        share(lambda span: None, 2)  # would wait for ever for threads that stayed behind
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert threads._pool.cache_info().currsize == 1
