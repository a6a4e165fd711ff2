"""PSNR against time of IHT and of ``iht_realloc``, whose search improves after IHT stalls; see docs/recovery.md.

Run as ``python experiments/recovery_trace.py [--out DIR]``: about two minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure

from mlpiht_cli.core.fit import Move
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.metric import metric
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.tasks.planted import Planted

CELLS = ((10, 50), (50, 200), (200, 200))
METHODS: dict[str, tuple[Method, str, str]] = {
    "IHT, 150 steps": (IHT(steps=150), "#D55E00", "--"),
    "IHT with reallocation": (IHTRealloc(), "#0072B2", "-"),
}
MOVES = ("exchanged", "proposed", "merged", "halved", "accepted")
FIELDS = ("m", "s", "seed", "method", "iteration", "seconds", "psnr", "moves")


@dataclass(frozen=True)
class Trace:
    """Seconds and PSNR in dB after each entry of a fit's history, and the search's moves."""

    seconds: list[float]
    psnr: list[float]
    moves: tuple[Move, ...]


def trace(method: Method, problem: Problem, m: int, s: int, seed: int) -> Trace:
    """Fit, and record the time of each loss."""
    seconds, psnr = list[float](), list[float]()
    start = time.perf_counter()

    def note(iteration: int, loss: float) -> None:
        seconds.append(time.perf_counter() - start)
        psnr.append(10.0 * math.log10(problem.peak**2 / loss))

    (fit,) = method.fit_path(problem, Shape(m), [s], Streams(seed), note)
    return Trace(seconds, psnr, fit.moves)


def draw(traces: dict[tuple[int, int], dict[str, Trace]]) -> Figure:
    """Draw the PSNR (top) and the moves of each round at its end (bottom); the area of a dot shows the neurons."""
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    top, bottom = figure.subplots(2, len(traces), sharex="col", sharey="row", height_ratios=[3, 1])
    for ax, strip, ((m, s), runs) in zip(top, bottom, traces.items(), strict=True):
        for name, run in runs.items():
            _, colour, line = METHODS[name]
            ax.plot(run.seconds, run.psnr, color=colour, linestyle=line, drawstyle="steps-post", label=name)
            for move in run.moves:
                place = run.seconds[move.iteration - 1], MOVES.index(move.name)
                strip.scatter(*place, 10.0 * move.count**0.5, color=colour, alpha=0.7, linewidths=0)
        ax.axhline(100.0, color="0.6", linewidth=0.8, linestyle=":")
        ax.set_title(f"m = {m}, s = {s}")
        strip.set(xlabel="seconds, one thread", ylim=(len(MOVES) - 0.5, -0.5))
        strip.grid(axis="y", color="0.9", linewidth=0.8)
    top[0].annotate("exact", (0.02, 100.0), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color="0.4")
    top[0].set_ylabel(metric("psnr").label)
    bottom[0].set_yticks(range(len(MOVES)), MOVES)
    handles, words = top[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncols=len(words), fontsize=9, frameon=False)
    return figure


def main() -> None:
    """Write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    small = Planted(n=100).build(Axes(2, 4), Streams(0))
    trace(IHT(), small, 2, 4, 0)  # the first run compiles the kernels
    traces: dict[tuple[int, int], dict[str, Trace]] = {}
    for m, s in CELLS:
        problem = Planted().build(Axes(m, s), Streams(options.seed))
        traces[m, s] = {name: trace(one[0], problem, m, s, options.seed) for name, one in METHODS.items()}
    (options.out / "figures").mkdir(parents=True, exist_ok=True)
    with (options.out / "recovery_trace.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for (m, s), runs in traces.items():
            for name, run in runs.items():
                for i, (seconds, psnr) in enumerate(zip(run.seconds, run.psnr, strict=True), 1):
                    moves = " ".join(f"{move.name}:{move.count}" for move in run.moves if move.iteration == i)
                    writer.writerow([m, s, options.seed, name, i, f"{seconds:.4g}", f"{psnr:.6g}", moves])
    draw(traces).savefig(options.out / "figures" / "recovery_trace.png", dpi=110)


if __name__ == "__main__":
    main()
