"""From names to objects: specs checked against the registry, and cells with all defaults filled in.

The only importer of the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mlpiht_cli.cells import Cell
from mlpiht_cli.checks.faults import claim_faults
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.method import Method, Shape
from mlpiht_cli.registry import METHODS, TASKS
from mlpiht_cli.specs.expand import Point, methods_of, points, with_profile
from mlpiht_cli.specs.faults import faults_of
from mlpiht_cli.specs.load import Document, Fault, Location
from mlpiht_cli.specs.names import raw_entries
from mlpiht_cli.specs.schema import PAPER, Entry, Panel, Spec, read_spec
from mlpiht_cli.task import Axes, Task

Settings = Mapping[str, Any]
_Kind = TypeVar("_Kind", bound=BaseModel)


def validate(path: Path, overrides: Settings | None = None) -> tuple[Spec, Document]:
    """Read a spec and check everything that can be checked without running it, for all its profiles.

    Raises
    ------
    InputError
        All that is wrong, with positions.
    """
    spec, document, faults = read_spec(path)
    faults = faults + _entry_faults(document.data) + _figure_faults(spec) + claim_faults(spec)
    if spec is None or faults:
        raise document.error(faults)
    for profile in [PAPER, *spec.profiles] if PAPER not in spec.profiles else spec.profiles:
        faults += [fault for fault in _profile_faults(spec, profile, overrides or {}) if fault not in faults]
    if faults:
        raise document.error(faults)
    return spec, document


def spec_schema() -> dict[str, Any]:
    """JSON Schema of specs, with the settings of every task and method among its definitions."""
    schema = Spec.model_json_schema()
    schema["$defs"] |= {f"task {name}": kind.model_json_schema() for name, kind in TASKS.items()}
    schema["$defs"] |= {f"method {name}": kind.model_json_schema() for name, kind in METHODS.items()}
    return schema


def cells(spec: Spec, profile: str, overrides: Settings | None = None) -> list[Cell]:
    """Expand a validated spec to its cells."""
    shrunk = with_profile(spec, profile)
    sets = {**_profile_sets(spec, profile), **(overrides or {})}
    out = []
    made = {panel.name: _objects(panel, shrunk, sets) for panel in shrunk.panels}
    for point in points(shrunk):
        task, methods = made[point.panel]
        cell = Cell(point, task, methods[point.label], spec.name, spec.figure.label, profile, spec.cells_of or "")
        out.append(cell)
    return out


def single_cell(point: Point, sets: Settings) -> Cell:
    """One cell from its point and ``task.``/``method.`` settings, as ``mlpiht fit`` runs it.

    Raises
    ------
    InputError
        Unknown names or fields, or values out of range.
    """
    if point.method not in METHODS:
        raise InputError(f"unknown method '{point.method}'{did_you_mean(point.method, METHODS)}")
    if point.task not in TASKS:
        raise InputError(f"unknown task '{point.task}'{did_you_mean(point.task, TASKS)}")
    _check_names(sets, {"task": {point.task}, "method": {point.method}})
    task = _from_sets(TASKS[point.task], _settings(sets, "task", point.task), "task")
    kind = METHODS[point.method]
    merged = kind.merge(_with_hints(kind, {}, task), _settings(sets, "method", point.method))
    cell = Cell(point, task, _from_sets(kind, merged, "method"))
    fault = _share_fault(point.s, point.depth)
    fault = fault or _budget_fault(cell.task, cell.method, cell.shape, point.s, point.method)
    if fault:
        raise InputError(fault)
    return cell


def make_task(name: str, sets: Settings) -> Task:
    """One task from its name and ``task.`` settings.

    Raises
    ------
    InputError
        Unknown name or field, or a value out of range.
    """
    if name not in TASKS:
        raise InputError(f"unknown task '{name}'{did_you_mean(name, TASKS)}")
    _check_names(sets, {"task": {name}})
    return _from_sets(TASKS[name], _settings(sets, "task", name), "task")


def _from_sets(kind: type[_Kind], settings: Settings, prefix: str) -> _Kind:
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        faults = faults_of(error, (prefix,), kind)
        raise InputError(
            "\n".join(f"{'.'.join(map(str, fault.location))}: {fault.message}" for fault in faults)
        ) from error


def _settings(sets: Settings, head: str, owner: str) -> dict[str, Any]:
    """Settings of one task or method: ``head.field`` for any, ``head.owner.field`` for it alone, which wins."""
    found: dict[str, Any] = {}
    for start in (f"{head}.", f"{head}.{owner}."):
        rest = {name.removeprefix(start): value for name, value in sets.items() if name.startswith(start)}
        found |= {name: value for name, value in rest.items() if "." not in name}
    return found


def _with_hints(kind: type[Method], settings: Settings, task: Task) -> dict[str, Any]:
    hints = {name: value for name, value in task.hints.items() if name in kind.model_fields.keys() - kind.unhinted}
    return {**hints, **settings}


def _objects(panel: Panel, spec: Spec, sets: Settings) -> tuple[Task, dict[str, Method]]:
    """Task and methods of a panel, with overrides where a class has the field."""
    task_kind = TASKS[panel.task.name]
    over = {k: v for k, v in _settings(sets, "task", panel.task.name).items() if k in task_kind.model_fields}
    task = _made(task_kind, {**panel.task.settings, **over}, ("task",))
    methods = {}
    for entry in methods_of(panel, spec):
        kind = METHODS[entry.name]
        over = {k: v for k, v in _settings(sets, "method", entry.name).items() if k in kind.model_fields}
        settings = kind.merge(_with_hints(kind, entry.settings, task), over)
        methods[entry.shown] = _made(kind, settings, ("methods", entry.shown))
    return task, methods


class _PanelError(Exception):
    """Settings that a profile or ``--set`` made wrong, and where in the panel."""

    def __init__(self, cause: ValidationError, location: Location, kind: type[BaseModel]) -> None:
        super().__init__(str(cause))
        self.cause, self.location, self.kind = cause, location, kind


def _made(kind: type[_Kind], settings: Settings, location: Location) -> _Kind:
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise _PanelError(error, location, kind) from error


def _profile_sets(spec: Spec, profile: str) -> dict[str, Any]:
    return {str(name): value for name, value in spec.profiles[profile].set.items()} if profile in spec.profiles else {}


def _entry_faults(data: Any) -> list[Fault]:
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


def _figure_faults(spec: Spec | None) -> list[Fault]:
    from mlpiht_cli.figures import KINDS  # matplotlib is slow to import

    unknown = [] if spec is None else [kind for kind in spec.figure.kinds if kind not in KINDS]
    return [Fault(("figure", "kind"), f"unknown kind '{kind}'{did_you_mean(kind, KINDS)}") for kind in unknown]


def _profile_faults(spec: Spec, profile: str, overrides: Settings) -> list[Fault]:
    """Settings of a profile or of ``--set`` that fit nowhere, and budgets above the number of weights."""
    shrunk = with_profile(spec, profile)
    sets = {**_profile_sets(spec, profile), **overrides}
    _check_names(overrides, _used(shrunk))
    faults = []
    for i, panel in enumerate(shrunk.panels):
        try:
            task, methods = _objects(panel, shrunk, sets)
        except _PanelError as error:
            faults += faults_of(error.cause, ("panels", i, *error.location), error.kind)
            continue
        faults += _growth_faults(spec, panel, profile) + _picture_faults(spec, panel, task)
        twins = [pair for pair in combinations(methods, 2) if _same(*(methods[label] for label in pair))]
        faults += [
            Fault(("panels", i, "methods"), f"'{a}' and '{b}' are the same method in profile {profile}; drop one")
            for a, b in twins
        ]
        share = _share_fault(min(panel.s), panel.depth)
        faults += [Fault(("panels", i, "s"), share)] if share else []
        for name, method in methods.items():
            for m in panel.m:
                fault = _budget_fault(task, method, Shape(m, panel.depth), max(panel.s), name)
                if fault:
                    faults.append(Fault(("panels", i, "s"), fault))
                    break
    return faults


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
    sets = _profile_sets(spec, profile)
    try:
        task, methods = _objects(panel, spec, {})
        small_task, small_methods = _objects(panel, spec, sets)
    except _PanelError:
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


def _check_names(overrides: Settings, used: Mapping[str, set[str]]) -> None:
    """Overrides must name a field of some task or method that is used, so that none is lost silently."""
    for name in overrides:
        head, _, rest = name.partition(".")
        if head not in used or not rest:
            starts = " or ".join(f"{one}." for one in used)
            raise InputError(f"--set {name}: names start with {starts}, as in task.n=1000")
        registry: Mapping[str, type[BaseModel]] = TASKS if head == "task" else METHODS
        owner, _, field = rest.rpartition(".")
        if owner and owner not in used[head]:
            raise InputError(f"--set {name}: no {head} '{owner}' here{did_you_mean(owner, used[head])}")
        fields = {f for one in ([owner] if owner else used[head]) for f in registry[one].model_fields}
        if field not in fields:
            raise InputError(f"--set {name}: unknown field{did_you_mean(field, fields)}")


def _budget_fault(task: Task, method: Method, shape: Shape, s: int, name: str) -> str | None:
    dims = task.dims()
    weights = method.weights(dims.d, dims.k, shape)
    if s > weights and method.keeps_budget and not task.clip_budget:
        return (
            f"s={s} is above the {weights} weights that {name} counts at m={shape.m}; lower s, raise m, "
            "or set task.clip_budget=true to keep all weights there"
        )
    return task.budget_fault(Axes(shape.m, s, shape.depth))


def _share_fault(s: int, depth: int) -> str | None:
    """The budget is shared by the hidden layers, so each needs one weight of it."""
    return f"s={s} is below the depth {depth}: each hidden layer needs a weight; raise s" if s < depth else None
