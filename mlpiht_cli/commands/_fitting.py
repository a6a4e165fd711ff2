"""The work of ``mlpiht fit``: choose what is open, run the cell, and hold a table's score against others."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mlpiht_cli.commands._choosing import chosen
from mlpiht_cli.commands._common import check_save
from mlpiht_cli.commands._status_line import FitLine
from mlpiht_cli.commands._table_options import folds
from mlpiht_cli.core.calibration import THRESHOLD, platt_slope
from mlpiht_cli.core.comparisons import comparisons, constant_name
from mlpiht_cli.core.fit import Fit
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.engine.runner import Runner, pick_device
from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.plan.cells import Job
from mlpiht_cli.plan.choice import OpenFit, OpenPoint, open_fit
from mlpiht_cli.records.rows import Row

log = logging.getLogger("mlpiht")


class Saved(NamedTuple):
    """What a model file holds next to the row."""

    model: SparseMLP
    recipe: Mapping[str, object] | None


class Fitting:
    """One fit of a task with settings, on a device."""

    def __init__(self, task: str, sets: Mapping[str, Any], device: str, quiet: bool) -> None:
        self._task, self._sets, self._quiet = task, sets, quiet
        self._runner = Runner(pick_device(device))

    def run(self, given: Mapping[str, Any]) -> tuple[Row, Saved | None]:
        """Run the fit that the options ask for; return its row, and what to save if it is a network.

        Raises
        ------
        InputError
            The fit cannot be made: wrong names or values, bad data, or a method that does not fit the problem.
        """
        cv = folds(given)
        point = OpenPoint(self._task, *(given[name] for name in ("method", "depth", "m", "s", "seed")))
        opened, found = open_fit(point, self._sets), None
        if cv is not None:
            found = chosen(opened, self._runner.problem(opened.start), cv, self._quiet)
        cell = opened.cell(found)
        with contextlib.suppress(CellSkipped):  # the run below puts it in its row
            reason = cell.method.supports(self._runner.problem(cell), cell.shape)
            if reason is not None:
                raise InputError(reason)
        if given["save"] is not None:
            check_save(given["save"], cell.method)
        with FitLine(self._quiet) as line:
            row, fit = next(iter(self._runner.run(Job((cell,)), line)))
        if fit is None or row.status != "ok":
            return row, None
        problem = self._runner.problem(cell)
        facts = {} if found is None else {"cv_score": found.score, "cv_standard_error": found.score_error}
        if self._task == "tabular":
            facts |= self._held_against(opened, fit, problem)
        row = row.model_copy(update={"measures": {**row.measures, **facts}})
        return row, Saved(fit.model, _recipe(problem, fit.model)) if cell.method.is_network else None

    def _held_against(self, opened: OpenFit, fit: Fit, problem: Problem) -> dict[str, float]:
        """Scores that belong next to the test score of a table; a warning if the fit has learned nothing."""
        cell = opened.line_cell(problem, fit.budget)
        line = None if cell is None else cell.method.fit(problem, cell.shape, cell.point.s, cell.streams).model
        facts = comparisons(fit.predictor, line, problem)
        least = facts.pop("baseline_train_score")
        if not facts["train_score"] > least:
            log.warning(
                "on the training rows the fit is no better than the %s (%.4g against %.4g)",
                *(constant_name(problem), facts["train_score"], least),
            )
        return {name: value for name, value in facts.items() if not math.isnan(value)}


def _recipe(problem: Problem, model: SparseMLP) -> Mapping[str, object] | None:
    """Return the recipe of a table, with the calibration of its two classes; None for other tasks."""
    recipe = problem.recipe
    if recipe is None or recipe.get("kind") != "classes" or problem.k > 1:
        return recipe
    output = model.forward(problem.x.to(model.dtype))[:, 0].double().cpu().numpy()
    slope = platt_slope(output - THRESHOLD, problem.y[:, 0].cpu().numpy() > THRESHOLD)
    return {**recipe, "calibration": (slope, -slope * THRESHOLD)}
