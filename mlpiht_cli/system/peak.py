"""Peak memory of a stretch of time in this process, not of its whole life."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from typing import Protocol

_MIB = 2**20
SECONDS_BETWEEN_SAMPLES = 0.01


class Peak(Protocol):
    """Follows the resident memory between :meth:`start` and :meth:`stop`."""

    def start(self) -> None:
        """Begin anew, from what is taken now."""

    def stop(self) -> float | None:
        """Most memory since the start, in MiB; None where the system does not say."""


class KernelPeak:
    """Linux keeps the peak itself and resets it on demand: exact, at no cost."""

    def start(self) -> None:
        """Reset the kernel's peak."""
        reset_kernel_peak()

    def stop(self) -> float | None:
        """See :meth:`Peak.stop`."""
        with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024, 1)
        return None


class SampledPeak:
    """Elsewhere a thread looks every hundredth of a second; a peak shorter than that may be missed."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._most = 0

    def start(self) -> None:
        """Look once, and from now on in a thread."""
        self._most = self._now()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._over,), daemon=True)
        self._thread.start()

    def stop(self) -> float | None:
        """See :meth:`Peak.stop`."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
        return round(max(self._most, self._now()) / _MIB, 1)

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(SECONDS_BETWEEN_SAMPLES):
            self._most = max(self._most, self._now())

    def _now(self) -> int:
        return int(self._process.memory_info().rss)


def reset_kernel_peak() -> bool:
    """Make the kernel forget the peak so far; whether it did (``/proc/self/clear_refs``, Linux alone)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
        return True
    return False


def follow() -> Peak:
    """What follows the memory best on this system."""
    return KernelPeak() if reset_kernel_peak() else SampledPeak()


def release() -> None:
    """Hand freed memory back to the system, so that what ran before does not count for what follows."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
