"""From names to objects: specs checked against the registry, and cells with all defaults filled in.

The only importer of the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpiht_cli.checks.rules import claim_faults
from mlpiht_cli.core.task import Task
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.figures.rules import kind_faults
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.objects import (
    Settings,
    check_names,
    from_sets,
    objects,
    profile_sets,
    settings_for,
    with_hints,
)
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.plan.rules import budget_fault, entry_faults, profile_faults, share_fault, varied_faults
from mlpiht_cli.specs.expand import Point, points, with_profile
from mlpiht_cli.specs.load import Document
from mlpiht_cli.specs.read import read_spec
from mlpiht_cli.specs.schema import PAPER, Spec


def validate(path: Path, overrides: Settings | None = None) -> tuple[Spec, Document]:
    """Read a spec and check everything that can be checked without running it, for all its profiles.

    Raises
    ------
    InputError
        All that is wrong, with positions.
    """
    spec, document, faults = read_spec(path)
    faults = faults + entry_faults(document.data) + kind_faults(spec) + claim_faults(spec) + varied_faults(spec)
    if spec is None or faults:
        raise document.error(faults)
    for profile in [PAPER, *spec.profiles] if PAPER not in spec.profiles else spec.profiles:
        faults += [fault for fault in profile_faults(spec, profile, overrides or {}) if fault not in faults]
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
    sets = {**profile_sets(spec, profile), **(overrides or {})}
    out = []
    made = {(panel.name, *size): objects(panel, shrunk, sets, size) for panel in shrunk.panels for size in panel.sizes}
    for point in points(shrunk):
        task, methods = made[point.panel, point.n, point.d]
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
    check_names(sets, {"task": {point.task}, "method": {point.method}})
    task = from_sets(TASKS[point.task], settings_for(sets, "task", point.task), "task")
    kind = METHODS[point.method]
    merged = kind.merge(with_hints(kind, {}, task), settings_for(sets, "method", point.method))
    cell = Cell(point, task, from_sets(kind, merged, "method"))
    fault = share_fault(point.s, point.depth)
    fault = fault or budget_fault(cell.task, cell.method, cell.shape, point.s, point.method)
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
    check_names(sets, {"task": {name}})
    return from_sets(TASKS[name], settings_for(sets, "task", name), "task")
