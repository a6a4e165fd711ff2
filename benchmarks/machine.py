"""Speed of the machine, measured in the same run, and the operations of a step of IHT.

The *floor* of a step is ``flops / GEMM rate + bytes / bandwidth``: every multiply-add runs at the speed of a large
dense product, every pass over the features at the speed of a plain copy, without overlap and without any other cost. It
is a yardstick for the implementation, not a lower bound: features in the cache are read faster than from memory, and a
step that skips work (for example if the support does not change) can be faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from benchmarks import common
from benchmarks.common import Plan, Row

GEMM = 2048
"""Side of the matrices multiplied: large enough for the full rate."""
COPIED = 2**28
"""Bytes of the array copied: several times the last-level cache of present processors."""
BYTES = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class Rates:
    """Flops per second of a dense product by dtype, and bytes per second of a copy, with ``threads`` threads."""

    gemm: Mapping[str, float]
    bandwidth: float
    threads: int


def rates(plan: Plan) -> Rates:
    """Measure the rates with torch's current number of threads: medians over the repeats."""
    side, size = (128, 2**20) if plan.quick else (GEMM, COPIED)
    gemm = {name: _gemm(side, getattr(torch, name), plan.repeats) for name in BYTES}
    source = torch.ones(size // 4)
    target = torch.empty_like(source)
    taken = common.median(common.seconds(lambda: target.copy_(source), plan.repeats))
    return Rates(gemm, 2 * size / taken, torch.get_num_threads())  # read once, written once


def _gemm(side: int, dtype: torch.dtype, repeats: int) -> float:
    a = torch.full((side, side), 0.5, dtype=dtype)
    out = torch.empty_like(a)
    taken = common.median(common.seconds(lambda: torch.mm(a, a, out=out), repeats))
    return 2.0 * side**3 / taken


@dataclass(frozen=True)
class Work:
    """Operations of one step: floating-point operations and bytes read."""

    flops: float
    bytes: float

    def floor(self, rates: Rates, dtype: str) -> float:
        """Return the seconds of the floor: the count at the rates of the machine."""
        return self.flops / rates.gemm[dtype] + self.bytes / rates.bandwidth


@dataclass(frozen=True)
class Step:
    """Sizes of a step: ``n x d`` features, ``live`` neurons whose gate is not zero, ``s`` nonzeros, inner steps."""

    n: int
    d: int
    live: int
    s: int
    inner: int = 10


def operations(step: Step, dtype: str, number: int = 2) -> Work:
    """Count step ``number`` of the paper's protocol; all steps from 2 on count alike.

    Every step has one adjoint on all coordinates of the live neurons, ``X^T (D_j r)``: ``2 n d live`` flops; ``g`` is
    part of it. A product with ``A_S`` or its transpose has ``2 n s`` flops. These products are:

    - one for the thresholded residual and ``2 inner`` in the refinement (``f`` along a ray is a parabola, known from
      one product, so halvings cost nothing);
    - from step 1 on, the residual and ``A_S g`` of the exact step;
    - from step 2 on, the gate refresh ``X h``, ``h = w``.

    Step 0 starts from zero weights, and its gates are dense: they take ``2 n d live`` flops. Step 1 has the same gates.
    Bytes: each of these products reads the features once (a product with ``A_S`` reads at most ``d`` and at most ``s``
    features). Masks, vectors of length n, thresholding and drawing gates are not counted.
    """
    dense, sparse = 2.0 * step.n * step.d * step.live, 2.0 * step.n * step.s
    products = 1 + 2 * step.inner + (0, 2, 3)[min(number, 2)]
    whole = step.n * step.d * BYTES[dtype]
    touched = step.n * min(step.s, step.d) * BYTES[dtype]
    passes = 1 if number else 2
    return Work(passes * dense + products * sparse, float(passes * whole + products * touched))


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
