"""Speed of the machine, measured in the same run as the fits: matrix products and copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks import clock, common
from benchmarks.common import Plan, Row

GEMM = 2048
"""Side of the matrices multiplied: large enough for the full rate."""
COPIED = 2**28
"""Bytes of the array copied: several times the last-level cache of present processors."""
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Rates:
    """Flops per second of a dense product by dtype, and bytes per second of a copy, with ``threads`` threads."""

    gemm: Mapping[str, float]
    bandwidth: float
    threads: int


def rates(plan: Plan) -> Rates:
    """Measure the rates with torch's current number of threads: medians over the repeats."""
    side, size = (128, 2**20) if plan.quick else (GEMM, COPIED)
    gemm = {name: _gemm(side, getattr(torch, name), plan.repeats) for name in DTYPES}
    source = torch.ones(size // 4)
    target = torch.empty_like(source)
    taken = _seconds(lambda: target.copy_(source), plan.repeats)
    return Rates(gemm, 2 * size / taken, torch.get_num_threads())  # read once, written once


def _gemm(side: int, dtype: torch.dtype, repeats: int) -> float:
    """Return the rate of torch's product; on one thread that of NumPy's if it is faster, for both bring a library."""
    a = torch.full((side, side), 0.5, dtype=dtype)
    out = torch.empty_like(a)
    taken = [_seconds(lambda: torch.mm(a, a, out=out), repeats)]
    if torch.get_num_threads() == 1:  # NumPy's number of threads is fixed when it is imported
        taken.append(_seconds(lambda: np.matmul(a.numpy(), a.numpy(), out=out.numpy()), repeats))
    return 2.0 * side**3 / min(taken)


def _seconds(action: Callable[[], object], repeats: int) -> float:
    """Return the median seconds: processor time on one thread, which other programs do not lengthen, else wall time."""
    taken = clock.median(clock.timed(action, repeats)[0])
    return taken.cpu if torch.get_num_threads() == 1 else taken.wall


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the rates for one thread and for two."""
    for count in (1, 2):
        name = f"threads-{count}"
        if not plan.wants(name):
            continue
        with common.threads(count):
            found = rates(plan)
            yield {
                "name": name,
                "gemm_float32_gflops": found.gemm["float32"] / 1e9,
                "gemm_float64_gflops": found.gemm["float64"] / 1e9,
                "copy_gb_per_s": found.bandwidth / 1e9,
                "repeats": plan.repeats,
                **common.machine(),
            }
