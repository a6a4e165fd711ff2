"""Part (a) for the baseline: IMP against plain autograd without compaction, on one thread, in float32.

A plain Adam step costs the same in every round, since masks make nothing smaller. So if a whole run takes too long, its
time is the median of the timed steps times the number of steps (``yardstick_whole`` says whether the run was whole).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks import clock, common, floor, machine, yardstick_imp
from benchmarks.clock import Seconds
from benchmarks.common import STEPS, Plan, Row
from benchmarks.machine import Rates
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams


@dataclass(frozen=True)
class Case:
    """One measurement: sizes, timed rounds of the yardstick (None: all), largest number of repeats and of seeds."""

    name: str
    m: int
    s: int
    n: int = 50_000
    d: int = 100
    k: int = 1
    epochs: int = STEPS
    rounds: int | None = None
    most: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Width and budget."""
        return self.m, self.s

    def method(self) -> IMP:
        """Return the method of mlpiht."""
        return IMP(epochs=self.epochs)


CASES = [
    Case("imp-10x20", 10, 20),
    Case("imp-50x50", 50, 50),
    Case("imp-1000x100-n5000", 1000, 100, n=5000),
    Case("imp-500x1000-k10-n5000", 500, 1000, n=5000, k=10),
    # A thousand steps over 50,000 x 1000 activations take mlpiht minutes, so it is timed once.
    Case("imp-1000x100", 1000, 100, rounds=1, most=1),
]
QUICK = [
    Case("imp-3x6", 3, 6, n=100, d=6, epochs=2),
    Case("imp-3x14-k2", 3, 14, n=100, d=6, k=2, epochs=2),
    Case("imp-4x6", 4, 6, n=100, d=6, epochs=2, rounds=1, most=1),
]


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected cases."""
    wanted = [case for case in (QUICK if plan.quick else CASES) if plan.wants(case.name)]
    if not wanted:
        return
    with common.threads(1):
        limits = machine.rates(plan)
        for case in wanted:
            yield measure(case, plan, limits)


def measure(case: Case, plan: Plan, limits: Rates) -> Row:
    """Measure one line: times of mlpiht and of the yardstick, their ratio, the PSNR of both, and the floor."""
    problem = _data(case, 0)
    repeats, seeds = (min(count, case.most or count) for count in (plan.repeats, plan.seeds))
    # A run of minutes needs no warm-up of minutes: a small fit compiles the kernels.
    small = common.planted(100, case.d, (8, 40), k=case.k)
    warm_up = None if case.most is None else lambda: common.fit(IMP(epochs=1), small, (8, 40))
    ours, fitted = clock.timed(lambda: common.fit(case.method(), problem, case.shape), repeats, warm_up)
    scores = [common.psnr_of(fitted, problem), *(_score(case, seed) for seed in range(1, seeds))]
    plain, taken = _plain(case, problem)
    steps = yardstick_imp.PlainIMP(case.m, case.s, case.epochs).steps(case.m * (case.d + case.k))
    mine, theirs = clock.median(ours), clock.median(taken).times(steps)
    return {
        "name": case.name,
        **{"n": case.n, "d": case.d, "k": case.k, "m": case.m, "s": case.s, "epochs": case.epochs},
        "adam_steps": steps,
        "repeats": repeats,
        **clock.spread("ours", ours),
        **{"yardstick_s": theirs.wall, "yardstick_cpu_s": theirs.cpu},
        "yardstick_steps_timed": len(taken),
        "yardstick_whole": case.rounds is None,
        **{"ratio": theirs.wall / mine.wall, "ratio_cpu": theirs.cpu / mine.cpu},
        **_floor(case, problem, limits, mine),
        **common.psnr_columns("ours", scores),
        "psnr_ours_seed_0": scores[0],
        "psnr_yardstick_seed_0": plain,
        **common.machine(),
    }


def _data(case: Case, seed: int) -> Problem:
    return common.planted(case.n, case.d, case.shape, seed, case.k)


def _score(case: Case, seed: int) -> float:
    """Return the PSNR of a fit by mlpiht for another seed."""
    data = _data(case, seed)
    return common.psnr_of(common.fit(case.method(), data, case.shape, seed), data)


def _plain(case: Case, problem: Problem) -> tuple[float, list[Seconds]]:
    """Return the PSNR of the yardstick (nan if it ended early) and the seconds of its Adam steps."""
    run = yardstick_imp.PlainIMP(case.m, case.s, case.epochs, rounds=case.rounds)
    layers, taken = yardstick_imp.imp_autograd(problem.x, problem.y, run, Streams(0))
    return math.nan if case.rounds else common.psnr(yardstick_imp.model(layers), problem), taken


def _floor(case: Case, problem: Problem, limits: Rates, mine: Seconds) -> Row:
    """Return the seconds of the floor of an Adam step, and how many times longer the processor took.

    The network after a prune, which answers its own number of weights as budget, is the one that the next round trains.
    """
    after = case.method().fit_path(problem, Shape(case.m), _counts(case), Streams(0))
    dense = [np.ones((out, into), bool) for into, out in pairwise(Shape(case.m).widths(case.d, case.k))]
    trained = [dense, *(floor.mask_of(fit.model) for fit in after)]
    count = floor.imp(trained, case.epochs * case.n)
    least, steps = count / limits.gemm["float32"], case.epochs * len(trained)
    return {"floor_gflop": count / 1e9, "floor_step_s": least / steps, "over_floor": mine.cpu / least}


def _counts(case: Case) -> list[int]:
    """Return the number of weights after each prune but the last, whose network is not trained."""
    total = case.m * (case.d + case.k)
    left, counts = total, []
    while left > case.s:
        left -= yardstick_imp.dropped(left, total, yardstick_imp.PlainIMP(case.m, case.s).rate)
        counts.append(left)
    return counts[:-1]
