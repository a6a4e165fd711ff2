"""What is wrong with a spec that only the tasks and methods themselves can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from pydantic import BaseModel, ValidationError

from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.task import Task
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.plan.budgets import budget_fault, share_fault
from mlpiht_cli.plan.experiment import Experiment, Plan
from mlpiht_cli.plan.objects import VARIED, Objects, PanelError, check_names, settings_for
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import PanelGrid
from mlpiht_cli.specs.load import Fault, Location
from mlpiht_cli.specs.rules.names import raw_entries
from mlpiht_cli.specs.schema import Entry, Panel, Spec
from mlpiht_cli.specs.wording import faults_of


def entry_faults(data: Any) -> list[Fault]:
    """Unknown names, fields and values of tasks and methods, at their places in the file."""
    faults = []
    for location, entry, kind in raw_entries(data):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            continue  # the schema says so already
        known: Mapping[str, type[BaseModel]] = TASKS if kind == "task" else METHODS
        name = entry["name"]
        if name not in known:
            faults.append(Fault((*location, "name"), f"unknown {kind} '{name}'{did_you_mean(name, known)}"))
            continue
        try:
            known[name].model_validate({key: value for key, value in entry.items() if key not in Entry.model_fields})
        except ValidationError as error:
            faults += faults_of(error, location, known[name])
    return faults


def varied_faults(draft: Draft) -> list[Fault]:
    """Panels that vary what their task has no setting for, or what is set elsewhere too."""
    faults = []
    for i, panel, axis in _varied(draft.spec):
        kind = TASKS.get(panel.task.name)
        if kind is not None and axis not in kind.model_fields:
            faults.append(Fault(("panels", i, axis), f"task {panel.task.name} has no setting {axis} to vary"))
        if axis in panel.task.settings:
            faults.append(Fault(("panels", i, "task", axis), f"the panel varies {axis}: leave it out of the task"))
        faults += [
            Fault(
                ("profiles", name, "set", f"task.{axis}"),
                f"panel '{panel.name}' varies {axis}: give the profile a list {axis} of the values to keep",
            )
            for name, profile in draft.spec.profiles.items()
            if f"task.{axis}" in profile.set
        ]
    return faults


def _varied(spec: Spec) -> list[tuple[int, Panel, str]]:
    panels = enumerate(spec.panels)
    return [(i, panel, axis) for i, panel in panels for axis in VARIED if getattr(panel, axis) is not None]


def check_overrides(experiment: Experiment) -> None:
    """Overrides must be of use: each names a setting that is there, and none that a panel varies.

    Raises
    ------
    InputError
        One is not.
    """
    grids = experiment.draft.expansion().grids
    methods = {entry.name for grid in grids for entry in grid.methods}
    check_names(experiment.overrides, {"task": {grid.panel.task.name for grid in grids}, "method": methods})
    for _, panel, axis in _varied(experiment.spec):
        if axis in settings_for(experiment.overrides, "task", panel.task.name):
            hint = f"choose among its values with --only {axis}=..."
            raise InputError(f"--set task.{axis}: panel '{panel.name}' varies {axis}; {hint}")


def plan_faults(experiment: Experiment) -> list[Fault]:
    """Settings of a profile or of ``--set`` that fit nowhere, and budgets above the number of weights.

    Only panels and profiles without faults so far are checked.
    """
    draft, spec = experiment.draft, experiment.spec
    shared = all(draft.sound("methods", j) for j in range(len(spec.methods)))
    own = Plan(draft.expansion(), {})
    faults = []
    for profile in spec.profile_names:
        if not draft.sound("profiles", profile):
            continue
        plan = experiment.plan(profile)
        plain = Plan(plan.expansion, plan.expansion.sets) if experiment.overrides else plan
        for i, grid in enumerate(plan.expansion.grids):
            if draft.sound("panels", i) and (shared or grid.panel.methods):
                faults += _panel_faults(plan, grid, i) + _growth_faults(own, plain, grid)
    return faults


def _panel_faults(plan: Plan, grid: PanelGrid, i: int) -> list[Fault]:
    panel, profile = grid.panel, plan.expansion.profile
    try:
        made = [plan.made(grid, size) for size in grid.sizes]
    except PanelError as error:
        found = faults_of(error.cause, error.location, error.kind)
        return [replace(one, location=("panels", i, *_place(one.location, panel))) for one in found]
    task, methods = made[0]
    hint = f", whose set {', '.join(plan.expansion.sets)} makes them so" if plan.expansion.sets else "; drop one"
    faults = _picture_faults(plan.expansion.spec, panel, task)
    faults += [
        Fault(("panels", i, "methods"), f"'{a}' and '{b}' are the same method in profile {profile}{hint}")
        for a, b in combinations(methods, 2)
        if _same(methods[a], methods[b])
    ]
    share = share_fault(min(grid.s), panel.depth)
    faults += [Fault(("panels", i, "s"), share)] if share else []
    return [*faults, *(Fault(("panels", i, "s"), fault) for fault in _budget_faults(grid, made))]


def _place(location: Location, panel: Panel) -> Location:
    """Where in a panel a setting stands: the panel itself gives what it varies."""
    varied = [("task", axis) for axis in VARIED if getattr(panel, axis) is not None]
    return location[1:] if location in varied else location


def _budget_faults(grid: PanelGrid, made: Iterable[Objects]) -> list[str]:
    """Why the panel's largest budget is too large, once for each method."""
    found: dict[str, str] = {}
    for task, methods in made:
        for (name, method), m in product(methods.items(), grid.m):
            fault = budget_fault(task, method, Shape(m, grid.panel.depth), max(grid.s), name)
            if fault is not None:
                found.setdefault(name, fault)
    return list(found.values())


def _same(one: Method, other: Method) -> bool:
    return type(one) is type(other) and one.model_dump() == other.model_dump()


def _picture_faults(spec: Spec, panel: Panel, task: Task) -> list[Fault]:
    """Pictures on a panel whose task has nothing to show, or not for all that they name."""
    said = {
        i: task.picture_fault(panel.depth, len(picture.s))
        for i, picture in enumerate(spec.pictures)
        if picture.panel == panel.name
    }
    return [Fault(("pictures", i), fault) for i, fault in said.items() if fault is not None]


def _growth_faults(own: Plan, plan: Plan, grid: PanelGrid) -> list[Fault]:
    """Settings of a profile above the spec's own: a profile only shrinks."""
    try:
        before, after = own.made(grid, grid.sizes[0]), plan.made(grid, grid.sizes[0])
    except PanelError:
        return []  # said where the profile's own settings are checked, unless --set mends it
    pairs = [(before.task, after.task), *((before.methods[name], after.methods[name]) for name in before.methods)]
    grown = {
        field: (getattr(one, field), getattr(other, field))
        for one, other in pairs
        for field in ("n", "steps", "epochs")
        if (getattr(other, field, None) or 0) > (getattr(one, field, None) or 0)
    }
    return [
        Fault(("profiles", plan.expansion.profile, "set"), f"{field} grows from {a} to {b}; a profile only shrinks")
        for field, (a, b) in grown.items()
    ]
