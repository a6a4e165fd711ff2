"""Whether something fits into memory, asked before it is taken; and Python's collector, out of the way."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

from mlpiht_cli.errors import InputError

_CGROUP = Path("/sys/fs/cgroup")
GIB = 2**30


def available() -> int:
    """Bytes that this process may still take: what the system has free, or less where a container has less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
        limit = int((_CGROUP / "memory.max").read_text())
        free = min(free, max(limit - int((_CGROUP / "memory.current").read_text()), 0))
    return free


def check_room(needed: int, what: str) -> None:
    """Make sure that about ``needed`` bytes can be had.

    Raises
    ------
    InputError
        They cannot; the message says what needs them.
    """
    if needed < 2**24:
        return
    free = available()
    if needed > free:
        raise InputError(f"{what} would take about {needed / GIB:,.1f} GiB of memory; {free / GIB:,.1f} GiB are free")


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Where objects are made by the hundred thousand, and none is garbage, Python's collector doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
