"""Part (d): peak memory of IHT and IMP against the width m and the budget s; each fit runs in its own process.

IHT is measured with one output (``iht``) and with ten (``iht_vector``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import common
from benchmarks.common import Plan, Row
from benchmarks.growth import exponent
from benchmarks.memory_probe import OUTPUTS, Setting
from benchmarks.style import OTHER, OURS, grid

ROOT = Path(__file__).resolve().parents[1]
SHARE = 0.5
"""Largest predicted memory of a fit that is run, as a share of the available memory."""
MOST_VECTOR = 10**5
"""Largest width of ``iht_vector``."""
LEAST = 0.1
"""MiB; smaller values are drawn at this value, since a logarithmic axis has no zero."""


def settings(plan: Plan) -> list[tuple[str, Setting]]:
    """Return the sweep (``m`` or ``s``) and the setting of each measurement.

    IMP, which may not fit into memory, comes last and by growing width.
    """
    n, d = (200, 6) if plan.quick else (2000, 100)
    widths = (10, 20) if plan.quick else tuple(10**e for e in (3, 3.5, 4, 4.5, 5, 5.5, 6))
    budgets = (5, 10) if plan.quick else (10, 30, 100, 300, 1000, 3000, 10_000)
    budget, width = (10, 10) if plan.quick else (100, 1000)
    return [
        *(("m", Setting("iht", round(m), budget, n, d)) for m in widths),
        *(("s", Setting("iht", width, s, n, d)) for s in budgets),
        *(("m", Setting("iht_vector", round(m), budget, n, d)) for m in widths if m <= MOST_VECTOR),
        *(("m", Setting("imp", round(m), 0, n, d)) for m in widths),
    ]


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected settings; IMP stops when its predicted memory exceeds half of the available memory."""
    last: Row | None = None
    for sweep, setting in settings(plan):
        name = f"memory-{sweep}-{setting.method}-m{setting.m}-s{setting.budget}"
        if not plan.wants(name):
            continue
        base = {"name": name, "sweep": sweep, **asdict(setting), "s": setting.budget, "k": setting.k}
        if setting.method == "imp" and last is not None:
            predicted = last["beyond_mib"] * setting.m / last["m"]
            if predicted * 2**20 > SHARE * psutil.virtual_memory().available:
                yield {**base, "status": f"not run: about {predicted / 1024:.0f} GiB predicted", **common.machine()}
                return
        row = {**base, "status": "ok", **measure(setting, plan.repeats), **common.machine()}
        row["threads"] = setting.threads
        last = row if setting.method == "imp" else None
        yield row


def measure(setting: Setting, repeats: int) -> Row:
    """Return medians over processes, in MiB: resident set before the fit, its peak, and the difference."""
    found = [launch(setting) for _ in range(max(1, repeats))]
    beyond = [(each["peak_kib"] - each["before_kib"]) / 1024 for each in found]
    return {
        "repeats": len(found),
        "before_mib": common.median([each["before_kib"] / 1024 for each in found]),
        "peak_mib": common.median([each["peak_kib"] / 1024 for each in found]),
        "beyond_mib": common.median(beyond),
        "beyond_mib_min": min(beyond),
        "beyond_mib_max": max(beyond),
        "peak_was_reset": all(each["peak_was_reset"] for each in found),
        "seconds": common.median([each["seconds"] for each in found]),
        "cpu_seconds": common.median([each["cpu_seconds"] for each in found]),
    }


def launch(setting: Setting) -> dict[str, Any]:
    """Run :mod:`benchmarks.memory_probe` in its own process."""
    command = [sys.executable, "-m", "benchmarks.memory_probe", json.dumps(asdict(setting))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, shell=False)
    if done.returncode:
        raise RuntimeError(f"the fit of {setting} ended with code {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def slope(part: pd.DataFrame, axis: str) -> float:
    """Return the exponent of the peak memory beyond the data against ``m`` or ``s``."""
    return exponent(part[axis].tolist(), np.maximum(part["beyond_mib"], LEAST).tolist())


def measured(table: pd.DataFrame, sweep: str, method: str) -> pd.DataFrame:
    """Return the rows of one curve that were run, by growing size."""
    keep = (table["sweep"] == sweep) & (table["method"] == method) & (table["status"] == "ok")
    return table[keep].sort_values(sweep)


def draw(table: pd.DataFrame) -> Figure:
    """Draw the peak memory beyond the data, log-log: against m, against s, and against m for several outputs."""
    figure = Figure(figsize=(12.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    _curve(left, measured(table, "m", "iht"), "m", (OURS, "o", "IHT"))
    _curve(left, measured(table, "m", "imp"), "m", (OTHER, "s", "IMP"))
    _curve(middle, measured(table, "s", "iht"), "s", (OURS, "o", "IHT"))
    _level(middle, table)
    _curve(right, measured(table, "m", "iht_vector"), "m", (OURS, "o", f"IHT, {OUTPUTS} outputs"))
    for axes, words in ((left, "hidden width m"), (middle, "budget s (nonzero weights)"), (right, "hidden width m")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(words)
        grid(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    left.set_ylabel("peak memory beyond data (MiB)")
    first = table.iloc[0]
    left_out = [
        f"\n{row['method'].upper()} at m = {row['m']:,} {row['status']}"
        for _, row in table[table["status"] != "ok"].iterrows()
    ]
    left.set_title(f"against m{_fixed(measured(table, 'm', 'iht'), 's')}{''.join(left_out)}", fontsize=9)
    middle.set_title(f"against s{_fixed(measured(table, 's', 'iht'), 'm')}", fontsize=9)
    right.set_title(f"{OUTPUTS} outputs: against m{_fixed(measured(table, 'm', 'iht_vector'), 's')}", fontsize=9)
    figure.suptitle(f"Peak resident memory during a fit, n = {first['n']:,}, d = {first['d']}", fontsize=10)
    return figure


def _fixed(part: pd.DataFrame, other: str) -> str:
    return f", {other} = {part[other].iloc[0]:,} (IHT)" if len(part) else ""


def _curve(axes: Axes, part: pd.DataFrame, axis: str, look: tuple[str, str, str]) -> None:
    if part.empty:
        return
    colour, marker, label = look
    low, high, middle = (np.maximum(part[f"beyond_mib{end}"], LEAST) for end in ("_min", "_max", ""))
    axes.fill_between(part[axis], low, high, color=colour, alpha=0.15, linewidth=0)
    power = slope(part, axis)
    words = label if np.isnan(power) else f"{label}: as {axis}^{power:.2f}"
    axes.plot(part[axis], middle, color=colour, marker=marker, markersize=4, label=words)


def _level(axes: Axes, table: pd.DataFrame) -> None:
    """IMP at the width of the middle panel: its peak comes in the first round, at every budget."""
    ours = measured(table, "s", "iht")
    theirs = measured(table, "m", "imp")
    at: Sequence[float] = theirs[theirs["m"].isin(ours["m"])]["beyond_mib"].tolist()
    if at:
        axes.axhline(at[0], color=OTHER, linestyle="--", label="IMP, any s: its peak comes in the first round")
