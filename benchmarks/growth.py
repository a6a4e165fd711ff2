"""Part (c): growth of the time of IHT with n, d, m and s, one at a time, with exponents fitted in log-log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import clock, common
from benchmarks.common import STEPS, Plan, Row
from benchmarks.style import COLOURS, grid
from mlpiht_cli.solvers.iht import IHT

BASE = {"n": 20_000, "d": 100, "m": 50, "s": 100}
AXES = {
    "n": (5000, 10_000, 20_000, 40_000, 80_000),
    "d": (25, 50, 100, 200, 400),
    "m": (10, 20, 50, 100, 200, 500, 1000),
    "s": (10, 20, 50, 100, 200, 500, 1000),
}
QUICK_BASE = {"n": 100, "d": 6, "m": 3, "s": 6}
QUICK_AXES = {"n": (100, 200), "d": (6, 12), "m": (3, 6), "s": (6, 12)}
WORDS = {"n": "samples n", "d": "features d", "m": "hidden width m", "s": "budget s"}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the exponent b of the least-squares fit ``log(value) = a + b log(size)``; nan for fewer than two sizes."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.polyfit(np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float)), 1)[0])


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected axes (``growth-n``, ``growth-d``, ...) on one thread."""
    with common.threads(1):
        for axis, sizes in (QUICK_AXES if plan.quick else AXES).items():
            if plan.wants(f"growth-{axis}"):
                measured = [_measure(axis, size, plan) for size in sizes]
                slope = exponent(sizes, [row["seconds"] for row in measured])
                yield from ({**row, "exponent": slope, **common.machine()} for row in measured)


def _measure(axis: str, size: int, plan: Plan) -> Row:
    at = {**(QUICK_BASE if plan.quick else BASE), axis: size}
    shape = (at["m"], at["s"])
    problem = common.planted(at["n"], at["d"], shape)
    taken, _ = clock.timed(lambda: common.fit(IHT(steps=STEPS), problem, shape), plan.repeats)
    walls, middle = [each.wall for each in taken], clock.median(taken)
    return {
        "name": f"growth-{axis}-{size}",
        "axis": axis,
        **at,
        "k": 1,
        "steps": STEPS,
        "repeats": plan.repeats,
        "seconds": middle.wall,
        "seconds_min": min(walls),
        "seconds_max": max(walls),
        "cpu_seconds": middle.cpu,
    }


def draw(table: pd.DataFrame) -> Figure:
    """Draw one panel per axis: medians with the range of the repeats, the fitted line, and its exponent."""
    axes_found = [axis for axis in WORDS if axis in set(table["axis"])]
    figure = Figure(figsize=(3.1 * len(axes_found), 3.2), layout="constrained")
    panels = figure.subplots(1, len(axes_found), sharey=True, squeeze=False)[0]
    for panel, axis, colour in zip(panels, axes_found, COLOURS, strict=False):
        _panel(panel, table[table["axis"] == axis], axis, colour)
    panels[0].set_ylabel("seconds a fit")
    figure.suptitle(f"Time of IHT against one size at a time: {STEPS} steps, one thread", fontsize=10)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, axis: str, colour: str) -> None:
    part = part.sort_values(axis)
    size, taken = part[axis].to_numpy(float), part["seconds"].to_numpy(float)
    low, high = taken - part["seconds_min"].to_numpy(float), part["seconds_max"].to_numpy(float) - taken
    axes.errorbar(size, taken, yerr=(low, high), color=colour, marker="o", linestyle="none", markersize=4, capsize=2)
    slope = exponent(size.tolist(), taken.tolist())
    if np.isfinite(slope):
        middle = np.exp(np.log(taken).mean() + slope * (np.log(size) - np.log(size).mean()))
        axes.plot(size, middle, color=colour, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = size[:: max(1, len(size) // 3)].astype(int).tolist()
    axes.set_xticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    fixed = ", ".join(f"{other}={part[other].iloc[0]:,}" for other in WORDS if other != axis)
    axes.set_title(f"time ~ {axis}^{slope:.2f}\nat {fixed}", fontsize=9, parse_math=False)
    axes.set_xlabel(WORDS[axis])
    grid(axes)
