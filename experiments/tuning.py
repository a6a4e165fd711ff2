"""Choose step size and epochs of the rivals of ``rivals.yaml``, on seeds that it does not report.

Run as ``python experiments/tuning.py [--only PANEL ...] [--out DIR]``. It runs what ``rivals_tuning.csv`` lacks, and
prints what the rule chooses and what choosing cost. The rule is the same for every method that has a step size: of
:data:`RATES`, at the panel's middle budget, the one with the least median training loss over :data:`SEEDS` (one seed in
the panels of :data:`FEWER`); then, where :data:`EPOCHS` lists numbers of epochs, the least number whose loss at this
step size is within :data:`SLACK` of the best. Test data play no part.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

from mlpiht_cli import plan
from mlpiht_cli.core.fit import Status
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.starts import training_loss
from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.rng import Streams

SPEC = Path(__file__).with_name("rivals.yaml")
TABLE = "rivals_tuning.csv"
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
LOWER = {"digits01_raw": (0.0001, 0.0003), "digits_raw": (0.0001, 0.0003)}
"""Further, smaller step sizes of panels with large inputs."""
SEEDS = (100, 101, 102)
FEWER = {"digits": (100,), "digits_raw": (100,)}
"""Seeds of panels where a trial takes long; the data are the same for all seeds there."""
EPOCHS = {"digits01": (25, 50, 100), "digits": (25, 50, 100)}
"""Epochs to choose from, the middle one while step sizes are tried; other panels' passes are set by what they ask."""
TAKEN = {
    "converged_10": "planted_10",
    "converged_50": "planted_50",
    "budgets_10": "planted_10",
    "budgets_50": "planted_50",
}
"""Panels that take the step sizes of another one."""
OF_A_ROUND = frozenset({"imp"})
"""Methods whose epochs are those of one of many rounds, so that they stay as they are."""
SLACK = 1.02


@dataclass(frozen=True)
class Trial:
    """One fit: where, with what, its training loss (infinite if it diverged), and what it cost."""

    panel: str
    method: str
    lr: float
    epochs: int
    seed: int
    m: int
    s: int
    loss: float
    passes: float
    cpu_s: float

    @property
    def place(self) -> tuple[str, str, float, int, int]:
        """What tells trials apart."""
        return self.panel, self.method, self.lr, self.epochs, self.seed


@dataclass(frozen=True)
class Choice:
    """Step size and epochs that the rule chooses, and the processor seconds of all trials behind it."""

    lr: float
    epochs: int
    cost_s: float


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel at its middle budget, and its methods that have a step size, by label."""

    name: str
    task: Task
    m: int
    s: int
    methods: dict[str, Method]

    @cache  # noqa: B019  panels live as long as the program
    def problem(self, seed: int) -> Problem:
        """Return the data of a seed."""
        return self.task.build(Axes(self.m, self.s), Streams(seed))

    def trial(self, label: str, lr: float, epochs: int, seed: int) -> Trial:
        """Fit once."""
        method = self.methods[label].model_copy(update={"lr": lr, "epochs": epochs})
        problem = self.problem(seed if "seed" in self.task.depends_on else SEEDS[0])
        start = time.process_time()
        fit = method.fit(problem, Shape(self.m), self.s, Streams(seed))
        spent = round(time.process_time() - start, 3)
        loss = training_loss(fit.model if fit.status is Status.OK else None, problem)
        return Trial(self.name, label, lr, epochs, seed, self.m, self.s, loss, fit.passes, spent)


def panels(spec: Path = SPEC) -> list[Panel]:
    """Return the panels of the spec that are tuned."""
    plans = plan.load(spec).plan("paper")
    found = []
    for grid in plans.expansion.grids:
        if grid.name not in TAKEN:
            task, methods = plans.made(grid, grid.sizes[0])
            tuned = {label: method for label, method in methods.items() if hasattr(method, "lr")}
            found.append(Panel(grid.name, task, grid.m[0], grid.s[len(grid.s) // 2], tuned))
    return found


def median_loss(trials: Sequence[Trial]) -> float:
    """Return the median of the losses; infinite without any."""
    return statistics.median([one.loss for one in trials]) if trials else float("inf")


def epochs_to_try(panel: str, label: str, own: int) -> tuple[int, ...]:
    """Return the numbers of epochs that a method chooses from; ``own`` is that of the spec."""
    return (own,) if label in OF_A_ROUND else EPOCHS.get(panel, (own,))


def rates(panel: str) -> tuple[float, ...]:
    """Return the step sizes that a panel's methods choose from."""
    return LOWER.get(panel, ()) + RATES


def best_rate(trials: Sequence[Trial], epochs: int) -> float:
    """Return the step size with the least median loss at so many epochs; of equal ones the smallest."""
    return min(
        rates(trials[0].panel),
        key=lambda lr: median_loss([one for one in trials if (one.lr, one.epochs) == (lr, epochs)]),
    )


def choose(trials: Sequence[Trial]) -> Choice:
    """Apply the rule to the trials of one method in one panel."""
    counts = epochs_to_try(trials[0].panel, trials[0].method, trials[0].epochs)
    lr = best_rate(trials, counts[len(counts) // 2])
    losses = {n: median_loss([one for one in trials if (one.lr, one.epochs) == (lr, n)]) for n in counts}
    enough = [n for n in counts if losses[n] <= SLACK * min(losses.values())]
    return Choice(lr, enough[0], sum(one.cpu_s for one in trials))


def missing(panel: Panel, label: str, done: Sequence[Trial]) -> Iterator[tuple[float, int, int]]:
    """Yield step size, epochs and seed of the trials that a method lacks; those of other epochs come last."""
    method = panel.methods[label]
    counts = epochs_to_try(panel.name, label, getattr(method, "epochs", 0))
    middle, places = counts[len(counts) // 2], {one.place for one in done}
    seeds = FEWER.get(panel.name, SEEDS)
    tried = [(lr, middle, seed) for lr in rates(panel.name) for seed in seeds]
    lacking = [one for one in tried if (panel.name, label, *one) not in places]
    if lacking:
        yield from lacking
        return
    lr = best_rate([one for one in done if (one.panel, one.method) == (panel.name, label)], middle)
    yield from ((lr, n, seed) for n in counts for seed in seeds if (panel.name, label, lr, n, seed) not in places)


def read(path: Path) -> list[Trial]:
    """Return the trials of a table; none if there is no table."""
    if not path.exists():
        return []
    kinds = {"panel": str, "method": str, "epochs": int, "seed": int, "m": int, "s": int}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Trial(**{name: kinds.get(name, float)(value) for name, value in row.items()}) for row in rows]


def write(path: Path, trials: Sequence[Trial]) -> None:
    """Write a table, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Trial)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(one) for one in sorted(trials, key=lambda one: one.place))


def choices(trials: Sequence[Trial]) -> dict[tuple[str, str], Choice]:
    """Return what the rule chooses by panel and method."""
    places = dict.fromkeys((one.panel, one.method) for one in trials)
    return {place: choose([one for one in trials if (one.panel, one.method) == place]) for place in places}


def main() -> None:
    """Run what is missing, and print the choices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="panels to run; all by default")
    parser.add_argument("--out", type=Path, default=Path("results"))
    words = parser.parse_args()
    path = words.out / TABLE
    trials = read(path)
    for panel in panels():
        if words.only is not None and panel.name not in words.only:
            continue
        for label in panel.methods:
            while todo := list(missing(panel, label, trials)):
                trials += [panel.trial(label, *one) for one in todo]
                write(path, trials)
    for (panel_name, label), one in choices(trials).items():
        sys.stdout.write(f"{panel_name:14} {label:20} lr {one.lr:<6} epochs {one.epochs:<5} {one.cost_s:.0f} s\n")


if __name__ == "__main__":
    main()
