"""One fit whose method, width or budget is left open: cross-validation on the training rows chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpiht_cli.core.crossval import Progress, Validated, cross_validate
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.objects import Settings, check_names, from_sets, settings_for, with_hints
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.candidates import LINES, OpenShape, candidates
from mlpiht_cli.specs.point import Point


@dataclass(frozen=True)
class OpenPoint:
    """A grid point with open places: method, ``m`` and ``s`` may be None."""

    task: str
    method: str | None
    depth: int
    m: int | None
    s: int | None
    seed: int


@dataclass(frozen=True)
class OpenFit:
    """A fit with open places: task and problem, the method, and the method of a sparse line where one is tried."""

    point: OpenPoint
    task: Task
    problem: Problem
    network: Method
    line: Method | None

    def validate(
        self, cv: int, budgets: Sequence[int] | None = None, progress: Progress | None = None
    ) -> list[Validated]:
        """Cross-validate the candidates on the training rows, in ``cv`` folds; without budgets, those that suit.

        Raises
        ------
        InputError
            There are too few rows, or the method cannot treat the problem.
        """
        point = self.point
        if budgets is None and point.s is not None:
            budgets = [point.s]
        tried = candidates(self.network, self.line, self.problem, OpenShape(point.m, point.depth), budgets)
        return cross_validate(self.problem, tried, cv, point.seed, progress)

    def cell(self, chosen: Validated) -> Cell:
        """Return the cell of the candidate that was chosen."""
        one, p = chosen.candidate, self.point
        return Cell(Point("", p.task, one.method.name, p.depth, one.m, one.s, p.seed), self.task, one.method)

    def line_cell(self, s: int) -> Cell | None:
        """Return the cell of a sparse line with a budget of at most ``s``; None without such a method."""
        if self.line is None:
            return None
        p, weights = self.point, self.line.weights(self.problem.d, self.problem.k, Shape(1))
        place = Point("", p.task, self.line.name, 1, 1, min(s, weights), p.seed)
        return Cell(place, self.task, self.line)


def open_fit(point: OpenPoint, sets: Settings) -> OpenFit:
    """Make the task, its problem and the methods of a fit with open places.

    Without a method, it is ``iht`` for one output and ``iht_vector`` for several.

    Raises
    ------
    InputError
        Unknown names or fields, values out of range, data that are missing, or data that depend on an open place.
    """
    if point.task not in TASKS:
        raise InputError(f"unknown task '{point.task}'{did_you_mean(point.task, TASKS)}")
    if point.method is not None and point.method not in METHODS:
        raise InputError(f"unknown method '{point.method}'{did_you_mean(point.method, METHODS)}")
    task = from_sets(TASKS[point.task], settings_for(sets, "task", point.task), "task")
    for axis in ("m", "s"):
        if axis in task.depends_on and getattr(point, axis) is None:
            raise InputError(f"the data of {point.task} depend on {axis}: give --{axis}")
    problem = task.build(Axes(point.m or 1, point.s or 1, point.depth), Streams(point.seed))
    name = point.method or ("iht" if problem.k == 1 else "iht_vector")
    check_names(sets, {"task": {point.task}, "method": {name}})
    line = LINES.get(name)
    made = _made(name, task, sets)
    return OpenFit(point, task, problem, made, None if line is None else _made(line, task, _known(sets, line)))


def _made(name: str, task: Task, sets: Settings) -> Method:
    """Make a method with its own defaults, those that suit the task, and settings of the command line."""
    kind = METHODS[name]
    merged = kind.merge(with_hints(kind, {}, task), settings_for(sets, "method", name))
    return from_sets(kind, merged, "method")


def _known(sets: Settings, name: str) -> Settings:
    """Return the settings of the command line that a second method has, too."""
    fields = METHODS[name].model_fields
    return {key: value for key, value in sets.items() if key.rpartition(".")[2] in fields}
