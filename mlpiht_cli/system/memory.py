"""Free memory, checked before it is used, and a pause of Python's garbage collector."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

from mlpiht_cli.errors import InputError

_CGROUP = Path("/sys/fs/cgroup")
GIB = 2**30


def available() -> int:
    """Bytes that this process may still use: free memory of the system, or of its container if that is less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # "max" means no limit
        limit = int((_CGROUP / "memory.max").read_text())
        free = min(free, max(limit - int((_CGROUP / "memory.current").read_text()), 0))
    return free


def check_room(needed: int, what: str) -> None:
    """Check that about ``needed`` bytes of memory are free.

    Raises
    ------
    InputError
        They are not; the message says what needs them.
    """
    if needed < 2**24:
        return
    free = available()
    if needed > free:
        raise InputError(f"{what} would take about {needed / GIB:,.1f} GiB of memory; {free / GIB:,.1f} GiB are free")


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector, which doubles the time of making a hundred thousand objects that are kept."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
