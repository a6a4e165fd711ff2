"""Parts (a) and (b): IHT against the reference implementation, and against the floor (:mod:`benchmarks.floor`).

Both run in the same process, one after the other, on one thread. The time of the yardstick is the median time of its
steps times their number; ``yardstick_steps_timed`` is the number of whole steps that were timed, from the first on.
There are two yardsticks (see :class:`~benchmarks.yardstick.Literal`): ``yardstick`` has all m terms in every sum, and
``yardstick_skip_dead`` leaves out blocks that are zero.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks import clock, common, floor, machine, yardstick, yardstick_vector
from benchmarks.clock import Seconds
from benchmarks.common import STEPS, Plan, Row
from benchmarks.machine import Rates
from mlpiht_cli.core.method import Method
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector
from mlpiht_cli.tasks.datasets import DATA_DIR
from mlpiht_cli.tasks.inr import INRMNIST


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes
    ----------
    name, n, d, m, s, k
        Name and sizes of planted data; with ``image`` the data are the MNIST image.
    passes, batch
        Full-batch steps (batch 0), or epochs of minibatches.
    dtype
        Dtype of the fit by mlpiht; the yardstick always uses float64.
    timed
        Number of timed steps of the yardstick with all terms.
    yardstick_seeds
        Number of seeds for which the yardstick without dead blocks runs to its end.
    """

    name: str
    m: int
    s: int
    n: int = 50_000
    d: int = 100
    k: int = 1
    passes: int = STEPS
    batch: int = 0
    dtype: str = "float32"
    image: bool = False
    timed: int = 5
    yardstick_seeds: int = 5

    @property
    def steps(self) -> int:
        """Number of steps of a fit."""
        return self.passes * (math.ceil(self.n / self.batch) if self.batch else 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Width and budget."""
        return self.m, self.s

    def method(self, passes: int) -> Method:
        """Return the method of mlpiht, for a number of passes over the data."""
        count = {"epochs": passes, "batch": self.batch} if self.batch else {"steps": passes}
        return (IHTVector if self.k > 1 else IHT).model_validate({"dtype": self.dtype, **count})

    def build(self, seed: int) -> Problem:
        """Make the data."""
        if self.image:
            return INRMNIST().build(Axes(*self.shape), Streams(seed))
        return common.planted(self.n, self.d, self.shape, seed, self.k)


CASES = [
    Case("iht-10x20", 10, 20, timed=STEPS),
    Case("iht-10x50", 10, 50, timed=STEPS),
    Case("iht-50x50", 50, 50),
    Case("iht-50x200", 50, 200),
    Case("iht-100x100", 100, 100),
    # A whole run of the yardstick takes half an hour here; --yardstick-seeds turns it on.
    Case("iht-1000x1000", 1000, 1000, yardstick_seeds=0),
    Case("inr", 50, 200, n=784, d=1500, passes=100, dtype="float64", image=True, timed=10, yardstick_seeds=1),
    Case("vector", 50, 200, k=10, passes=15, batch=5000, timed=50),
    # The shape of the task mnist_binary, which has 10,000 images of 784 pixels.
    Case("minibatch", 50, 50, n=10_000, d=784, passes=2, batch=1000, timed=20),
]
QUICK = [
    Case("iht-3x6", 3, 6, n=200, d=6, passes=3, timed=3, yardstick_seeds=1),
    Case("inr", 3, 6, n=784, d=1500, passes=2, dtype="float64", image=True, timed=1, yardstick_seeds=0),
    Case("vector", 3, 14, n=200, d=6, k=2, passes=2, batch=100, timed=2),
    Case("minibatch", 3, 6, n=200, d=6, passes=2, batch=100, timed=2, yardstick_seeds=0),
]


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected cases."""
    wanted = [case for case in (QUICK if plan.quick else CASES) if plan.wants(case.name)]
    if not wanted:
        return
    with common.threads(1):
        limits = machine.rates(plan)
        for case in wanted:
            if case.image and not os.environ.get(DATA_DIR):
                reason = f"skipped: {DATA_DIR} names no folder with MNIST"
                yield {"name": case.name, "status": reason, **common.machine()}
            else:
                yield measure(case, plan, limits)


def measure(case: Case, plan: Plan, limits: Rates) -> Row:
    """Measure one line: times of mlpiht and both yardsticks, their ratios, PSNR, two threads, and the floor."""
    problem, method = case.build(0), case.method(case.passes)
    ours, fitted = clock.timed(lambda: common.fit(method, problem, case.shape), plan.repeats)
    with common.threads(2):
        two = clock.median(clock.timed(lambda: common.fit(method, problem, case.shape), plan.repeats)[0])
    mine = clock.median(ours)
    times, network = _yardsticks(case, plan, problem, mine)
    return {
        "name": case.name,
        "status": "ok",
        **{"n": problem.n, "d": problem.d, "k": problem.k, "m": case.m, "s": case.s, "batch": case.batch},
        "steps": case.steps,
        "dtype": case.dtype,
        "repeats": plan.repeats,
        **clock.spread("ours", ours),
        **times,
        **_scores(case, plan, [common.psnr_of(fitted, problem)], [common.psnr(network, problem)]),
        **{"two_threads_s": two.wall, "two_threads_cpu_s": two.cpu},
        "two_threads_gain": mine.wall / two.wall,
        **{"step_s": mine.wall / case.steps, "step_cpu_s": mine.cpu / case.steps},
        **_floor(case, problem, limits, mine),
        **common.machine(),
    }


def _asked(case: Case, plan: Plan) -> int:
    """Return the number of seeds for which the yardstick runs to its end."""
    return case.yardstick_seeds if plan.yardstick_seeds is None else plan.yardstick_seeds


def _yardsticks(case: Case, plan: Plan, problem: Problem, mine: Seconds) -> tuple[Row, SparseMLP]:
    """Return the times of both yardsticks, the ratios, and the network of the one that skips dead blocks.

    That yardstick runs to its end if its PSNR is needed.
    """
    timed = min(case.timed, case.steps)
    _, taken = literal(case, problem, 0, (timed, False))
    network, generous = literal(case, problem, 0, (case.steps if _asked(case, plan) else timed, True))
    full, skipping = (clock.median(each).times(case.steps) for each in (taken, generous))
    columns = {
        **{"yardstick_s": full.wall, "yardstick_cpu_s": full.cpu},
        "yardstick_steps_timed": len(taken),
        **{"yardstick_skip_dead_s": skipping.wall, "yardstick_skip_dead_cpu_s": skipping.cpu},
        "yardstick_skip_dead_steps_timed": len(generous),
        **{"ratio": full.wall / mine.wall, "ratio_cpu": full.cpu / mine.cpu},
        **{"ratio_skip_dead": skipping.wall / mine.wall, "ratio_skip_dead_cpu": skipping.cpu / mine.cpu},
    }
    return columns, network


def _scores(case: Case, plan: Plan, ours: list[float], reference: list[float]) -> Row:
    """Return the PSNR of mlpiht for all seeds and for the yardstick's seeds, and that of the yardstick.

    Both lists begin with seed 0.
    """
    asked = _asked(case, plan)
    for seed in range(1, max(plan.seeds, asked)):
        data = case.build(seed)
        ours.append(common.psnr_of(common.fit(case.method(case.passes), data, case.shape, seed), data))
        if seed < asked:
            reference.append(common.psnr(literal(case, data, seed, (case.steps, True))[0], data))
    return {
        **common.psnr_columns("ours", ours),
        **common.psnr_columns("yardstick", reference[:asked]),
        "psnr_ours_same_seeds": float(np.mean(ours[:asked])) if asked else math.nan,
    }


def literal(case: Case, problem: Problem, seed: int, run: tuple[int, bool]) -> tuple[SparseMLP, list[Seconds]]:
    """Run the yardstick; ``run`` is the number of steps and whether dead blocks are skipped.

    Returns the network and the seconds of each step.
    """
    steps, skip_dead = run
    x, y = np.ascontiguousarray(problem.x.double().numpy()), problem.y.double().numpy()
    batches = _first(yardstick.batch_rows(len(x), case.batch, case.passes, seed), steps) if case.batch else None
    if case.k > 1:
        settings = yardstick_vector.LiteralVector(case.m, case.s, steps, skip_dead=skip_dead)
        w1, w2, taken = yardstick_vector.iht_vector(x, y, settings, Streams(seed), batches)
        return yardstick_vector.model(w1, w2), taken
    gates = Streams(seed).gates(problem.d).rows(0, case.m)
    w, taken = yardstick.iht(x, y[:, 0], yardstick.Literal(case.s, gates, steps, skip_dead=skip_dead), batches)
    return yardstick.model(w), taken


def _first(epochs: list[list[yardstick.Rows]], steps: int) -> list[list[yardstick.Rows]]:
    """Return the first ``steps`` batches, by epoch."""
    kept, left = [], steps
    for batches in epochs:
        kept.append(batches[:left])
        left -= len(kept[-1])
    return kept


def _floor(case: Case, problem: Problem, limits: Rates, mine: Seconds) -> Row:
    """Return the seconds of the floor, averaged over the steps, and how many times longer the processor took."""
    steps = [*floor.turns(problem.n, case.batch, case.passes)]
    after = [*floor.networks(case.method(case.passes), problem, case.shape)]
    count = (floor.iht_vector if case.k > 1 else floor.iht)(problem, case.m, steps, after)
    least = count / limits.gemm[case.dtype]
    return {"floor_gflop": count / 1e9, "floor_step_s": least / case.steps, "over_floor": mine.cpu / least}
