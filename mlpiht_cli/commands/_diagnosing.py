"""The work of ``mlpiht diagnose``: the data, the gates, and the measurement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlpiht_cli.commands._common import with_task_options
from mlpiht_cli.commands._fitting import Fitting
from mlpiht_cli.commands._model_file import read_model
from mlpiht_cli.commands._table_options import OPTIONS, task_of
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.engine.rerun import cell_of
from mlpiht_cli.engine.runner import Runner, pick_device
from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.choice import OpenPoint, open_fit
from mlpiht_cli.records.rows import Row
from mlpiht_cli.theory.diagnosis import Asked, Diagnosis, diagnose
from mlpiht_cli.theory.gates import Gates, fitted_gates, planted_gates, random_gates

_OF_DATA = ("task", "method", "m", "s", "cv", "starts", "n", "d", "k")
"""Options that say what the file of --model says."""
_USUAL = {"depth": 1, "seed": 0}
"""Further ones, and their defaults."""


class _Case(NamedTuple):
    """A cell, its data, and a fitted network if there is one."""

    cell: Cell
    problem: Problem
    model: SparseMLP | None


class Diagnosing:
    """One diagnosis on a device."""

    def __init__(self, device: str, quiet: bool) -> None:
        self._device, self._quiet = device, quiet
        self._runner = Runner(pick_device(device))

    def run(self, given: Mapping[str, Any]) -> Diagnosis:
        """Return the diagnosis that the options ask for.

        Raises
        ------
        InputError
            Wrong names or values, bad data, nothing planted, or a fit without a network.
        """
        case = self._of_model(given) if given["model"] is not None else self._of_data(given)
        gates = self._gates(case, given["gates"])
        s = case.cell.point.s if gates.source != "fitted" or gates.own is None else max(1, len(gates.own))
        return diagnose(case.problem.x, gates, Asked(s, given["relax"], given["columns"]), case.cell.streams)

    def _gates(self, case: _Case, wanted: str | None) -> Gates:
        """The gates that are asked for; by default the planted ones, of the data, else those of the fit."""
        if wanted == "random":
            return random_gates(case.problem.d, case.cell.point.m, case.cell.streams)
        if wanted == "planted" or (wanted is None and case.model is None):
            return planted_gates(case.problem)
        if case.model is None or not case.model.layers[0].nnz:
            raise InputError("the fitted network has no weights and so no gates; use --gates random, or a larger --s")
        return fitted_gates(case.model)

    def _of_model(self, given: Mapping[str, Any]) -> _Case:
        """The network of a file, on the data of its row."""
        path: Path = given["model"]
        more = [f"--{name}" for name in _OF_DATA if given[name] is not None]
        more += [f"--{name}" for name, usual in _USUAL.items() if given[name] != usual]
        more += [option for name, option in OPTIONS.items() if given[name] is not None]
        if more or given["sets"]:
            raise InputError(f"{(*more, '--set')[0]}: leave it out, --model {path} says what it was fitted to, and how")
        saved = read_model(path)
        cell = cell_of(_row(path, saved.meta.get("row")))
        cell.task.check_data()
        return _Case(cell, self._problem(cell), saved.model)

    def _of_data(self, given: Mapping[str, Any]) -> _Case:
        """Data of a task or a table, with a fit if its gates are asked for."""
        task, sets = task_of(given)
        sizes = {name: given[name] for name in ("n", "d", "k")}
        if task == "tabular" and any(sizes.values()):
            raise InputError("--n, --d, --k need --task: a table has its own size")
        sets = with_task_options(sets, **sizes)
        if given["gates"] == "random" and None in (given["m"], given["s"]):
            raise InputError("--gates random: give --m, the number of gates, and --s, the number of nonzeros")
        point = OpenPoint(task, *(given[name] for name in ("method", "depth", "m", "s", "seed")))
        start = open_fit(point, sets).start
        planted = given["gates"] is None and self._problem(start).truth is not None
        if planted or given["gates"] in ("planted", "random"):
            if given["cv"] is not None:
                raise InputError("--cv has no effect: planted and random gates are of no fit; leave it out")
            return _Case(start, self._problem(start), None)
        row, saved = Fitting(task, sets, self._device, self._quiet).run({**given, "save": None})
        if saved is None:
            raise InputError(f"no network was fitted: {row.reason or row.status}; use --gates random")
        return _Case(cell_of(row), self._problem(cell_of(row)), saved.model)

    def _problem(self, cell: Cell) -> Problem:
        try:
            return self._runner.problem(cell)
        except CellSkipped as skip:
            raise InputError(str(skip)) from skip


def _row(path: Path, saved: object) -> Row:
    """The row of a model file."""
    from pydantic import ValidationError

    try:
        return Row.model_validate(saved)
    except ValidationError as error:
        raise InputError(f"{path}: does not say what it was fitted to; fit it again with --save") from error
