"""Threads for compiled kernels; torch's thread count sets how many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import torch

PANELS = 16
"""Largest number of parts that a sum over samples is split into; it does not depend on the number of threads."""

SMALL_PRODUCT = 2**25
"""Multiply-adds of one product of data and weights below which one thread is as fast as several, and far faster on a
busy machine, where threads wait for each other."""

_lent: ContextVar[int | None] = ContextVar("threads lent by torch", default=None)


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="mlpiht")


# Threads do not survive a fork, so a child process makes its own pool.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextmanager
def kernel_threads() -> Iterator[None]:
    """Give the kernels all of torch's threads, and torch one thread, until the context ends.

    Idle torch threads spin and would take the processors from the kernels between two torch products. The thread count
    of torch belongs to the process, so only one fit may run at a time.
    """
    count = torch.get_num_threads()
    token = _lent.set(_lent.get() or count)
    try:
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(count)
        _lent.reset(token)


def threads_of(products: int, most: int) -> int:
    """Return how many threads a fit gets whose largest product takes ``products`` multiply-adds."""
    return 1 if products < SMALL_PRODUCT else most


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch, and with it the kernels, some threads until the context ends."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Give NumPy's products one thread until the context ends.

    Small products gain nothing from more, and on a busy machine their threads wait for each other: a fit of 1,437 rows
    takes 0.4 seconds of processor time with one thread, and a hundred with two.
    """
    with _libraries().limit(limits=1, user_api="blas"):
        yield


def share(kernel: Callable[..., Any], count: int, *args: object) -> None:
    """Call ``kernel(*args, (first, last))`` on spans that cover ``range(count)``, one span per thread.

    The kernel must release the GIL, and each item of a span must have its own place in the output.
    """
    limit = _lent.get() or torch.get_num_threads()
    threads = max(1, min(limit, count))
    spans = [(count * i // threads, count * (i + 1) // threads) for i in range(threads)]
    others = [_pool(limit - 1).submit(kernel, *args, span) for span in spans[1:]]
    kernel(*args, spans[0])
    for other in others:
        other.result()
