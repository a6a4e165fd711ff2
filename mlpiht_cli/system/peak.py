"""Peak memory of this process between two moments."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from typing import Protocol

_MIB = 2**20
SECONDS_BETWEEN_SAMPLES = 0.01


class Peak(Protocol):
    """Measures the peak of the resident memory between :meth:`start` and :meth:`stop`."""

    def start(self) -> None:
        """Start a measurement from the memory in use now."""

    def stop(self) -> float | None:
        """Peak since the start, in MiB; None if the system does not give it."""


class KernelPeak:
    """The peak that Linux keeps and resets on demand: exact, and free."""

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
    """The peak of samples that a thread takes every hundredth of a second; it may miss a shorter peak."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._most = 0

    def start(self) -> None:
        """Take a sample, and start the thread that takes the others."""
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
    """Reset the kernel's peak through ``/proc/self/clear_refs`` (Linux only), and return whether that worked."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
        return True
    return False


def follow() -> Peak:
    """Return the best measurement that this system has."""
    return KernelPeak() if reset_kernel_peak() else SampledPeak()


def release() -> None:
    """Hand freed memory back to the system, so that earlier work does not count in the next peak."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
