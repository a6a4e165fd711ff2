"""From names and settings to tasks and methods, with hints and overrides put in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from mlpiht_cli.core.method import Method
from mlpiht_cli.core.task import Task
from mlpiht_cli.errors import InputError, did_you_mean, plain
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.specs.wording import faults_of

if TYPE_CHECKING:
    from mlpiht_cli.specs.expand import PanelGrid
    from mlpiht_cli.specs.load import Location
    from mlpiht_cli.specs.schema import Size

Settings = Mapping[str, Any]
VARIED = ("n", "d")
"""Settings of a task that a panel may vary."""
_Kind = TypeVar("_Kind", bound=BaseModel)


class Objects(NamedTuple):
    """Task of a panel at one size, and methods by their labels."""

    task: Task
    methods: dict[str, Method]


def from_sets(kind: type[_Kind], settings: Settings, prefix: str) -> _Kind:
    """Make a task or method of the command line's settings.

    Raises
    ------
    InputError
        Unknown fields, or values out of range.
    """
    try:
        return kind.model_validate(plain(settings))
    except ValidationError as error:
        faults = faults_of(error, (prefix,), kind)
        raise InputError(
            "\n".join(f"{'.'.join(map(str, fault.location))}: {fault.message}" for fault in faults)
        ) from error


def task_for(name: str, sets: Settings) -> Task:
    """Make a task, whose name is known, of the command line's settings.

    Raises
    ------
    InputError
        Unknown fields, or values out of range.
    """
    return from_sets(TASKS[name], settings_for(sets, "task", name), "task")


def method_for(name: str, task: Task, sets: Settings) -> Method:
    """Make a method, whose name is known, of the command line's settings and the defaults that suit the task.

    Raises
    ------
    InputError
        Unknown fields, or values out of range.
    """
    kind = METHODS[name]
    return from_sets(kind, kind.merge(with_hints(kind, {}, task), settings_for(sets, "method", name)), "method")


def settings_for(sets: Settings, head: str, owner: str) -> dict[str, Any]:
    """Settings of one task or method: ``head.field`` for any, ``head.owner.field`` for it alone, which wins."""
    found: dict[str, Any] = {}
    for start in (f"{head}.", f"{head}.{owner}."):
        rest = {name.removeprefix(start): value for name, value in sets.items() if name.startswith(start)}
        found |= {name: value for name, value in rest.items() if "." not in name}
    return found


def with_hints(kind: type[Method], settings: Settings, task: Task) -> dict[str, Any]:
    """Settings of a method over the defaults that suit the task: those for all methods, then those for it alone."""
    hints = {name: value for name, value in task.hints.items() if name in kind.model_fields.keys() - kind.unhinted}
    own = f"{kind.name}."
    hints |= {name.removeprefix(own): value for name, value in task.hints.items() if name.startswith(own)}
    return {**hints, **settings}


def objects(grid: PanelGrid, size: Size, sets: Settings) -> Objects:
    """Task and methods of a panel, with overrides where a class has the field and the n and d that the panel varies.

    Raises
    ------
    PanelError
        The settings of one of them are wrong.
    """
    panel = grid.panel
    task_kind = TASKS[panel.task.name]
    over = {k: v for k, v in settings_for(sets, "task", panel.task.name).items() if k in task_kind.model_fields}
    varied = {axis: value for axis, value in size._asdict().items() if value is not None}
    task = _made(task_kind, {**panel.task.settings, **over, **varied}, ("task",))
    methods = {}
    for entry in grid.methods:
        kind = METHODS[entry.name]
        over = {k: v for k, v in settings_for(sets, "method", entry.name).items() if k in kind.model_fields}
        settings = kind.merge(with_hints(kind, entry.settings, task), over)
        methods[entry.shown] = _made(kind, settings, ("methods", entry.shown))
    return Objects(task, methods)


class PanelError(Exception):
    """Settings that a profile or ``--set`` made wrong, and where in the panel."""

    def __init__(self, cause: ValidationError, location: Location, kind: type[BaseModel]) -> None:
        super().__init__(str(cause))
        self.cause, self.location, self.kind = cause, location, kind


def _made(kind: type[_Kind], settings: Settings, location: Location) -> _Kind:
    try:
        return kind.model_validate(plain(settings))
    except ValidationError as error:
        raise PanelError(error, location, kind) from error


def check_names(overrides: Settings, used: Mapping[str, set[str]]) -> None:
    """Check the tasks and methods that are used, and that each override names a field of one: none is lost silently.

    Raises
    ------
    InputError
        A task, method or field is unknown.
    """
    registries: Mapping[str, Mapping[str, type[BaseModel]]] = {"task": TASKS, "method": METHODS}
    for head, names in used.items():
        for name in names - registries[head].keys():
            raise InputError(f"unknown {head} '{name}'{did_you_mean(name, registries[head])}")
    for name in overrides:
        head, _, rest = name.partition(".")
        if head not in used or not rest:
            starts = " or ".join(f"{one}." for one in used)
            raise InputError(f"--set {name}: names start with {starts}, as in task.n=1000")
        owner, _, field = rest.rpartition(".")
        if owner and owner not in used[head]:
            raise InputError(f"--set {name}: no {head} '{owner}' here{did_you_mean(owner, used[head])}")
        fields = {f for one in ([owner] if owner else used[head]) for f in registries[head][one].model_fields}
        if field not in fields:
            raise InputError(f"--set {name}: unknown field{did_you_mean(field, fields)}")
