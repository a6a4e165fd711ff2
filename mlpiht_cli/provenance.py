"""How a row was made: versions, device, threads, time and memory."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlpiht_cli import __version__


@lru_cache(maxsize=1)
def git_state() -> tuple[str, bool | None]:
    """Commit of the source tree and whether it has uncommitted changes; ("", None) outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=here, capture_output=True, text=True, timeout=10, check=True, shell=False
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != here.parent:
            return "", None  # installed inside somebody else's checkout
        # Only the sources count: results that a sweep writes do not make its own rows dirty.
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "mlpiht_cli", "experiments"))
    except (OSError, subprocess.SubprocessError):
        return "", None


def environment(device: torch.device) -> dict[str, Any]:
    """Columns that say on what a row was made."""
    sha, dirty = git_state()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": f"{device.type}: {name}",
        "threads": torch.get_num_threads(),
        "mlpiht": __version__,
        "git_sha": sha,
        "git_dirty": dirty,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """Name of the processor, as well as the system tells it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass
class Meter:
    """Time and peak memory since it was made or last reset."""

    device: torch.device
    started: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew; on Linux the process's peak memory is reset too."""
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            torch.cuda.synchronize(self.device)
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, Any]:
        """Columns of time, memory and start; a measure the system does not give is None."""
        cuda = None
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            cuda = round(torch.cuda.max_memory_allocated(self.device) / 2**20, 1)
        return {
            "wall_s": round(time.perf_counter() - self._wall, 4),
            "cpu_s": round(time.process_time() - self._cpu, 4),
            "peak_rss_mb": _peak_rss_mb(),
            "peak_cuda_mb": cuda,
            "started_utc": self.started,
        }


def _peak_rss_mb() -> float | None:
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None
