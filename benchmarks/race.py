"""Part (e): IHT against IMP at equal budget: seconds until IHT reaches the final PSNR of IMP.

Both run on one thread with the paper's protocol; each seed has its own data. The time of IMP ends with the round that
reaches the budget. IHT is followed step by step. A step reports the loss of the network *before* it, so the PSNR after
a step is known one step later and gets the end time of the earlier step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import clock, common
from benchmarks.clock import Seconds
from benchmarks.common import STEPS, Plan, Row
from benchmarks.style import OTHER, OURS, grid
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.core.metric import metric
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.solvers.iht import IHT

CELLS = [(10, 20), (10, 50), (50, 50), (50, 200), (100, 100)]
QUICK = [(3, 6)]
Curve = list[tuple[Seconds, float]]
"""Pairs of seconds since the start and PSNR in dB."""
NEVER = Seconds(math.inf, math.inf)


@dataclass(frozen=True)
class Heat:
    """Result of one seed: the curve of IHT, and the seconds and the PSNR of IMP."""

    iht: Curve
    imp: Seconds
    imp_psnr: float

    @property
    def reached(self) -> Seconds:
        """Seconds until IHT reaches the final PSNR of IMP; infinite if it never does."""
        return next((at for at, value in self.iht if value >= self.imp_psnr), NEVER)


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected cells."""
    with common.threads(1):
        for m, s in QUICK if plan.quick else CELLS:
            if plan.wants(f"race-{m}x{s}"):
                yield measure((m, s), plan)


def measure(shape: tuple[int, int], plan: Plan) -> Row:
    """Measure one line: medians over the seeds, and the curve of seed 0."""
    n, d = (100, 6) if plan.quick else (50_000, 100)
    heats = []
    for seed in range(plan.seeds):
        problem = common.planted(n, d, shape, seed)
        if not seed:  # compile kernels
            follow(problem, shape, seed)
            common.fit(IMP(epochs=1), common.planted(100, d, (2, 4)), (2, 4))
        curve = follow(problem, shape, seed)
        start = clock.now()
        found = common.fit(IMP(epochs=STEPS), problem, shape, seed)
        heats.append(Heat(curve, clock.since(start), common.psnr_of(found, problem)))
    m, s = shape
    iht, imp = (clock.median(each) for each in ([heat.iht[-1][0] for heat in heats], [heat.imp for heat in heats]))
    # A seed that never reaches the PSNR counts as infinitely late.
    reached = clock.median([heat.reached for heat in heats])
    ratio = clock.median([heat.imp.over(heat.reached) for heat in heats])
    return {
        "name": f"race-{m}x{s}",
        **{"n": n, "d": d, "k": 1, "m": m, "s": s, "steps": STEPS, "epochs": STEPS},
        "seeds": len(heats),
        "repeats": len(heats),
        **{"imp_s": imp.wall, "imp_cpu_s": imp.cpu},
        "imp_psnr": common.median([heat.imp_psnr for heat in heats]),
        **{"iht_s": iht.wall, "iht_cpu_s": iht.cpu},
        "iht_psnr": common.median([heat.iht[-1][1] for heat in heats]),
        "iht_reaches_imp_seeds": sum(heat.reached != NEVER for heat in heats),
        **{"iht_to_imp_psnr_s": _known(reached.wall), "iht_to_imp_psnr_cpu_s": _known(reached.cpu)},
        **{"ratio": ratio.wall, "ratio_cpu": ratio.cpu},
        "iht_curve": " ".join(f"{at.wall:.6g}:{value:.4g}" for at, value in heats[0].iht),
        "imp_point": f"{heats[0].imp.wall:.6g}:{heats[0].imp_psnr:.4g}",
        **common.machine(),
    }


def _known(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def follow(problem: Problem, shape: tuple[int, int], seed: int) -> Curve:
    """Return the seconds and the PSNR of IHT after each step; the last PSNR is the score of the network."""
    ends: list[Seconds] = []
    losses: list[float] = []

    def note(_: int, loss: float) -> None:
        ends.append(clock.since(start))
        losses.append(loss)

    start = clock.now()
    found = common.fit(IHT(steps=STEPS), problem, shape, seed, note)
    total = clock.since(start)
    known = [decibel(loss, problem.peak) for loss in losses[1:]]
    return [*zip(ends[:-1], known, strict=True), (total, common.psnr_of(found, problem))]


def decibel(loss: float, peak: float) -> float:
    """Return the PSNR in dB of a mean squared error."""
    return 20.0 * math.log10(peak) - 10.0 * math.log10(loss) if loss > 0.0 else math.inf


def draw(table: pd.DataFrame) -> Figure:
    """Draw PSNR against seconds: IHT after each step, IMP at its end; one panel per cell, seed 0."""
    figure = Figure(figsize=(2.7 * len(table), 3.2), layout="constrained")
    panels = figure.subplots(1, len(table), sharey=True, squeeze=False)[0]
    for axes, (_, row) in zip(panels, table.iterrows(), strict=True):
        _panel(axes, row)
    panels[0].set_ylabel(metric("psnr").label)
    panels[0].legend(fontsize=8, frameon=False)
    figure.suptitle("PSNR against time at equal budget: one thread, one seed", fontsize=10)
    return figure


def _panel(axes: Axes, row: pd.Series) -> None:
    at, value = np.array([[float(x) for x in pair.split(":")] for pair in str(row["iht_curve"]).split()]).T
    axes.plot(at, value, color=OURS, marker="o", markersize=3, label="IHT, each step")
    there, level = (float(x) for x in str(row["imp_point"]).split(":"))
    axes.plot([there], [level], color=OTHER, marker="s", linestyle="none", label="IMP")
    axes.axhline(level, color=OTHER, linestyle=":", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("seconds")
    axes.set_title(f"m = {row['m']}, s = {row['s']}, n = {row['n']:,}", fontsize=9)
    grid(axes)
