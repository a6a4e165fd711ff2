"""One fit whose method, width or budget is left open: cross-validation on the training rows chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlpiht_cli.core.crossval import Progress, Validated, cross_validate
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan.budgets import checked
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.objects import Settings, check_names, method_for, task_for
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
    """A fit with open places: the task, the method, and the method of a sparse line where one is tried."""

    point: OpenPoint
    task: Task
    network: Method
    line: Method | None

    @property
    def start(self) -> Cell:
        """A cell with 1 in the open places; it has the problem of every choice."""
        return self._cell(self.network, self.point.m or 1, self.point.s or 1)

    def validate(
        self, problem: Problem, cv: int, budgets: Sequence[int] | None = None, progress: Progress | None = None
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
        tried = candidates(self.network, self.line, problem, OpenShape(point.m, point.depth), budgets)
        return cross_validate(problem, tried, cv, point.seed, progress)

    def cell(self, chosen: Validated | None) -> Cell:
        """Return the cell of the candidate that was chosen; without one, nothing is open.

        Raises
        ------
        InputError
            The budget that was given is too large or too small.
        """
        if chosen is None:
            return checked(self.start)
        return self._cell(chosen.candidate.method, chosen.candidate.m, chosen.candidate.s)

    def line_cell(self, problem: Problem, s: int) -> Cell | None:
        """Return the cell of a sparse line with a budget of at most ``s``; None without such a method."""
        if self.line is None:
            return None
        return self._cell(self.line, 1, min(s, self.line.weights(problem.d, problem.k, Shape(1))))

    def _cell(self, method: Method, m: int, s: int) -> Cell:
        depth = 1 if method is self.line else self.point.depth
        return Cell(Point("", self.point.task, method.name, depth, m, s, self.point.seed), self.task, method)


def open_fit(point: OpenPoint, sets: Settings) -> OpenFit:
    """Make the task and the methods of a fit with open places.

    Without a method, it is ``iht`` for one output and ``iht_vector`` for several.

    Raises
    ------
    InputError
        Unknown names or fields, values out of range, or data that depend on an open place.
    """
    check_names({}, {"task": {point.task}, "method": {point.method} if point.method else set()})
    task = task_for(point.task, sets)
    for axis in ("m", "s"):
        if axis in task.depends_on and getattr(point, axis) is None:
            raise InputError(f"the data of {point.task} depend on {axis}: give --{axis}")
    name = point.method or ("iht" if task.dims().k == 1 else "iht_vector")
    line = LINES.get(name)
    check_names(sets, {"task": {point.task}, "method": {name} if line is None else {name, line}})
    return OpenFit(point, task, method_for(name, task, sets), None if line is None else _line(line, task, sets))


def _line(name: str, task: Task, sets: Settings) -> Method:
    """Return the method of a line; settings without its name are for the network."""
    own = {key: value for key, value in sets.items() if key.startswith(f"method.{name}.")}
    return method_for(name, task, own)
