"""Provenance of a row: versions, device, threads, time and memory."""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlpiht_cli import __version__
from mlpiht_cli.system.peak import follow, release


@lru_cache(maxsize=1)
def git_state() -> tuple[str, bool | None]:
    """Commit of the source tree and whether it has uncommitted changes; ("", None) outside a checkout."""
    here = Path(__file__).resolve().parents[1]

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=here.parent, capture_output=True, text=True, timeout=10, check=True, shell=False
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
    """Columns for the machine and the versions that make a row."""
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
        "blas": blas(),
        "python": platform.python_version(),
    }


_BUILT_WITH = {"mkl": r"Math Kernel Library Version ([\d.]+)", "onednn": r"MKL-DNN v([\d.]+)"}
"""Libraries that torch names in its configuration, and where their versions stand there."""


@lru_cache(maxsize=1)
def blas() -> str:
    """What multiplies matrices: torch's libraries and instructions, and NumPy's library and its kernels.

    Rows of one setting that differ here may differ in their last digits. Names and versions alone, no paths, such as
    ``torch mkl-2024.2 onednn-3.12.0 avx512; numpy openblas-0.3.31 haswell``.
    """
    built = torch.__config__.show()
    found = {name: match[1] for name, where in _BUILT_WITH.items() if (match := re.search(where, built))}
    parts = [f"{name}-{version}" for name, version in found.items()]
    if "mkl" not in found:
        named = re.search(r"BLAS_INFO=(\w+)", built)
        parts.insert(0, _loaded("torch") or (named[1] if named else "no BLAS"))
    of_numpy = _loaded("numpy") or np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    return f"torch {' '.join(parts)} {torch.backends.cpu.get_cpu_capability()}; numpy {of_numpy}".lower()


def _loaded(package: str) -> str | None:
    """BLAS in a package's folder, or else one of no package (conda's): name, version, kernels; None: not loaded."""
    from threadpoolctl import threadpool_info

    found: dict[str, str] = {}
    for one in threadpool_info():
        if one["user_api"] == "blas":
            folders = {part.removesuffix(".libs") for part in Path(one["filepath"]).parts[-3:-1]}
            owner = next(iter(folders & {"numpy", "scipy", "torch"}), "")
            found.setdefault(owner, f"{one['internal_api']}-{one['version']} {one.get('architecture', '')}".strip())
    return found.get(package) or found.get("")


def processor() -> str:
    """Name of the processor, as the system gives it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Meter:
    """Measures time and peak memory of a fit, between :meth:`resume` and :meth:`pause` only."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cuda = device.type == "cuda"
        self._memory = follow()
        self.reset()

    def reset(self) -> None:
        """Set all measures to zero for the next fit, and hand freed memory back to the system."""
        self._wall = self._cpu = 0.0
        self._rss: float | None = None
        self._peak_cuda: float | None = None
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        release()

    def resume(self) -> None:
        """Start or continue to measure."""
        self._memory.start()
        if self._cuda:
            torch.cuda.synchronize(self._device)  # also initialises CUDA, which the reset does not
            torch.cuda.reset_peak_memory_stats(self._device)
        self._wall_from, self._cpu_from = time.perf_counter(), time.process_time()

    def pause(self) -> dict[str, Any]:
        """Stop, and return the columns so far; None for a measure that the system does not give."""
        if self._cuda:
            torch.cuda.synchronize(self._device)
            used = torch.cuda.max_memory_allocated(self._device) / 2**20
            self._peak_cuda = round(max(used, self._peak_cuda or 0.0), 1)
        self._wall += time.perf_counter() - self._wall_from
        self._cpu += time.process_time() - self._cpu_from
        rss = self._memory.stop()
        self._rss = rss if self._rss is None or rss is None else max(rss, self._rss)
        return {
            "wall_s": round(self._wall, 4),
            "cpu_s": round(self._cpu, 4),
            "peak_rss_mb": self._rss,
            "peak_cuda_mb": self._peak_cuda,
            "started_utc": self._started,
        }
