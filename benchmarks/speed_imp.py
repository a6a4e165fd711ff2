"""Part (a) for the baseline: IMP against plain autograd without compaction, on one thread, in float32.

A plain Adam step costs the same in every round, since masks make nothing smaller. So if a whole run takes too long, its
time is the median of the timed steps times the number of steps (``yardstick_whole`` says whether the run was whole).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import common, yardstick_imp
from benchmarks.common import STEPS, Plan, Row
from mlpiht_cli.baselines.imp import IMP
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
    # A thousand steps over 50,000 x 1000 activations take mlpiht minutes, so it is timed once.
    Case("imp-1000x100", 1000, 100, rounds=1, most=1),
]
QUICK = [
    Case("imp-3x6", 3, 6, n=100, d=6, epochs=2),
    Case("imp-4x6", 4, 6, n=100, d=6, epochs=2, rounds=1, most=1),
]


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected cases."""
    with common.threads(1):
        for case in QUICK if plan.quick else CASES:
            if plan.wants(case.name):
                yield measure(case, plan)


def measure(case: Case, plan: Plan) -> Row:
    """Measure one line: times of mlpiht and of the yardstick, their ratio, and the PSNR of both."""
    problem = _data(case, 0)
    repeats, seeds = (min(count, case.most or count) for count in (plan.repeats, plan.seeds))
    # A run of minutes needs no warm-up of minutes: a small fit compiles the kernels.
    small = common.planted(100, case.d, (2, 4))
    warm_up = None if case.most is None else lambda: common.fit(IMP(epochs=1), small, (2, 4))
    ours, fitted = common.timed(lambda: common.fit(case.method(), problem, case.shape), repeats, warm_up)
    scores = [common.psnr_of(fitted, problem), *(_score(case, seed) for seed in range(1, seeds))]
    plain, taken = _plain(case, problem)
    steps = yardstick_imp.PlainIMP(case.m, case.s, case.epochs).steps(case.m * (case.d + 1))
    return {
        "name": case.name,
        **{"n": case.n, "d": case.d, "k": 1, "m": case.m, "s": case.s, "epochs": case.epochs},
        "adam_steps": steps,
        "repeats": repeats,
        **common.spread("ours", ours),
        "yardstick_s": common.median(taken) * steps,
        "yardstick_steps_timed": len(taken),
        "yardstick_whole": case.rounds is None,
        "ratio": common.median(taken) * steps / common.median(ours),
        **common.psnr_columns("ours", scores),
        "psnr_ours_seed_0": scores[0],
        "psnr_yardstick_seed_0": plain,
        **common.machine(),
    }


def _data(case: Case, seed: int) -> Problem:
    return common.planted(case.n, case.d, case.shape, seed)


def _score(case: Case, seed: int) -> float:
    """Return the PSNR of a fit by mlpiht for another seed."""
    data = _data(case, seed)
    return common.psnr_of(common.fit(case.method(), data, case.shape, seed), data)


def _plain(case: Case, problem: Problem) -> tuple[float, list[float]]:
    """Return the PSNR of the yardstick (nan if it ended early) and the seconds of its Adam steps."""
    run = yardstick_imp.PlainIMP(case.m, case.s, case.epochs, rounds=case.rounds)
    layers, taken = yardstick_imp.imp_autograd(problem.x, problem.y, run, Streams(0))
    return math.nan if case.rounds else common.psnr(yardstick_imp.model(layers), problem), taken
