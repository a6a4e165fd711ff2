"""From names to objects: specs checked against the registry, and cells with all defaults filled in.

The only importer of the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlpiht_cli.core.task import Task
from mlpiht_cli.plan.budgets import checked
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.objects import Settings, check_names, method_for, task_for
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.specs.point import Point

if TYPE_CHECKING:
    from mlpiht_cli.plan.experiment import Experiment

__all__ = ["METHODS", "TASKS", "load", "make_task", "single_cell"]


def load(path: Path, overrides: Settings | None = None) -> Experiment:
    """Read a spec and check everything that can be checked without running it, for all its profiles.

    Raises
    ------
    InputError
        All that is wrong, with positions.
    """
    # A single cell needs none of these.
    from mlpiht_cli.checks.rules import claim_faults
    from mlpiht_cli.figures.rules import kind_faults
    from mlpiht_cli.plan.experiment import Experiment
    from mlpiht_cli.plan.rules import check_overrides, entry_faults, plan_faults, varied_faults
    from mlpiht_cli.specs.read import read_spec

    draft = read_spec(path)
    if draft.document is not None:
        draft.add_in_file(entry_faults(draft.document.data))
    for rule in (kind_faults, claim_faults, varied_faults):
        draft.add(rule(draft))
    experiment = Experiment(draft, overrides or {})
    if not draft.faults:
        check_overrides(experiment)
    draft.add(plan_faults(experiment))
    draft.check()
    return experiment


def single_cell(point: Point, sets: Settings) -> Cell:
    """One cell from its point and ``task.``/``method.`` settings, as ``mlpiht fit`` runs it.

    Raises
    ------
    InputError
        Unknown names or fields, or values out of range.
    """
    check_names(sets, {"task": {point.task}, "method": {point.method}})
    task = task_for(point.task, sets)
    return checked(Cell(point, task, method_for(point.method, task, sets)))


def make_task(name: str, sets: Settings) -> Task:
    """One task from its name and ``task.`` settings.

    Raises
    ------
    InputError
        Unknown name or field, or a value out of range.
    """
    check_names(sets, {"task": {name}})
    return task_for(name, sets)
