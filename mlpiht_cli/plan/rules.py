"""What is wrong with a spec that only the tasks and methods themselves can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from pydantic import BaseModel, ValidationError

from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.plan.objects import VARIED, Made, PanelError, Settings, check_names, objects, profile_sets, settings_for
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.specs.expand import methods_of, with_profile
from mlpiht_cli.specs.load import Fault, Location
from mlpiht_cli.specs.rules.names import raw_entries
from mlpiht_cli.specs.schema import Entry, Panel, Spec
from mlpiht_cli.specs.wording import faults_of


def entry_faults(data: Any) -> list[Fault]:
    """Unknown names, fields and values of tasks and methods, wherever they stand in the document."""
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


def varied_faults(spec: Spec | None) -> list[Fault]:
    """Panels that vary what their task has no setting for, or what is set elsewhere too."""
    faults = []
    for i, panel, axis in _varied(spec):
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
            for name, profile in (spec.profiles.items() if spec else ())
            if f"task.{axis}" in profile.set
        ]
    return faults


def _varied(spec: Spec | None) -> list[tuple[int, Panel, str]]:
    panels = list(enumerate(spec.panels)) if spec else []
    return [(i, panel, axis) for i, panel in panels for axis in VARIED if getattr(panel, axis) is not None]


def _check_overrides(spec: Spec, overrides: Settings) -> None:
    """Overrides must be of use: each names a setting that is there, and none that a panel varies."""
    check_names(overrides, _used(spec))
    for _, panel, axis in _varied(spec):
        if axis in settings_for(overrides, "task", panel.task.name):
            hint = f"choose among its values with --only {axis}=..."
            raise InputError(f"--set task.{axis}: panel '{panel.name}' varies {axis}; {hint}")


def profile_faults(spec: Spec, profile: str, overrides: Settings) -> list[Fault]:
    """Settings of a profile or of ``--set`` that fit nowhere, and budgets above the number of weights."""
    shrunk = with_profile(spec, profile)
    sets = {**profile_sets(spec, profile), **overrides}
    _check_overrides(shrunk, overrides)
    faults = []
    for i, panel in enumerate(shrunk.panels):
        try:
            made = {size: objects(panel, shrunk, sets, size) for size in panel.sizes}
        except PanelError as error:
            found = faults_of(error.cause, error.location, error.kind)
            faults += [replace(one, location=("panels", i, *_place(one.location, panel))) for one in found]
            continue
        task, methods = made[panel.sizes[0]]
        faults += _growth_faults(spec, panel, profile) + _picture_faults(spec, panel, task)
        twins = [pair for pair in combinations(methods, 2) if _same(*(methods[label] for label in pair))]
        faults += [
            Fault(("panels", i, "methods"), f"'{a}' and '{b}' are the same method in profile {profile}; drop one")
            for a, b in twins
        ]
        share = share_fault(min(panel.s), panel.depth)
        faults += [Fault(("panels", i, "s"), share)] if share else []
        faults += [Fault(("panels", i, "s"), fault) for fault in _budget_faults(panel, made.values())]
    return faults


def _place(location: Location, panel: Panel) -> Location:
    """Where in a panel a setting stands: the panel itself gives what it varies."""
    varied = [("task", axis) for axis in VARIED if getattr(panel, axis) is not None]
    return location[1:] if location in varied else location


def _budget_faults(panel: Panel, made: Iterable[Made]) -> list[str]:
    """Why the panel's largest budget is too large, once for each method."""
    found: dict[str, str] = {}
    for task, methods in made:
        for (name, method), m in product(methods.items(), panel.m):
            fault = budget_fault(task, method, Shape(m, panel.depth), max(panel.s), name)
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


def _growth_faults(spec: Spec, panel: Panel, profile: str) -> list[Fault]:
    """Settings of a profile above the spec's own: a profile only shrinks."""
    sets = profile_sets(spec, profile)
    try:
        task, methods = objects(panel, spec, {}, panel.sizes[0])
        small_task, small_methods = objects(panel, spec, sets, panel.sizes[0])
    except PanelError:
        return []  # said where the profile's own settings are checked, unless --set mends it
    pairs = [(task, small_task), *((methods[name], small_methods[name]) for name in methods)]
    grown = {
        field: (getattr(before, field), getattr(after, field))
        for before, after in pairs
        for field in ("n", "steps", "epochs")
        if (getattr(after, field, None) or 0) > (getattr(before, field, None) or 0)
    }
    return [
        Fault(("profiles", profile, "set"), f"{field} grows from {a} to {b}; a profile only shrinks")
        for field, (a, b) in grown.items()
    ]


def _used(spec: Spec) -> dict[str, set[str]]:
    """Names of the tasks and methods of a spec."""
    methods = {entry.name for panel in spec.panels for entry in methods_of(panel, spec)}
    return {"task": {panel.task.name for panel in spec.panels}, "method": methods}


def budget_fault(task: Task, method: Method, shape: Shape, s: int, name: str) -> str | None:
    """Say why a budget is too large for a method or for the task's data, or None."""
    dims = task.dims()
    weights = method.weights(dims.d, dims.k, shape)
    if s > weights and method.keeps_budget and not task.clip_budget:
        return (
            f"s={s} is above the {weights} weights that {name} counts at m={shape.m}; lower s, raise m, "
            "or set task.clip_budget=true to keep all weights there"
        )
    return task.budget_fault(Axes(shape.m, s, shape.depth))


def share_fault(s: int, depth: int) -> str | None:
    """The budget is shared by the hidden layers, so each needs one weight of it."""
    return f"s={s} is below the depth {depth}: each hidden layer needs a weight; raise s" if s < depth else None
