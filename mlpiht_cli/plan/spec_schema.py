"""JSON Schema of specs, for editors: with the names of kinds, measures, tasks and methods."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from mlpiht_cli.checks.rules import EVERY_MEASURE
from mlpiht_cli.figures import KINDS
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.specs.schema import Spec


def spec_schema() -> dict[str, Any]:
    """JSON Schema of specs, with the settings of every task and method among its definitions."""
    schema = Spec.model_json_schema()
    parts: dict[str, Any] = schema["$defs"]
    _name(parts["Claim"]["properties"]["measure"], EVERY_MEASURE)
    for title in ("FigureSpec", "View"):
        _name(parts[title]["properties"]["kind"], KINDS)
    entry = parts.pop("Entry")
    registries: dict[str, Iterable[str]] = {"Task": TASKS, "Method": METHODS}
    for title, names in registries.items():
        parts[title] = copy.deepcopy(entry) | {"title": title}
        _name(parts[title]["properties"]["name"], names)
    _refer(parts["Panel"]["properties"]["task"], "Task")
    for owner in (schema, parts["Panel"]):
        _refer(owner["properties"]["methods"], "Method")
    parts |= {f"task {name}": kind.model_json_schema() for name, kind in TASKS.items()}
    parts |= {f"method {name}": kind.model_json_schema() for name, kind in METHODS.items()}
    return schema


def _name(value: Any, names: Iterable[str]) -> None:
    """Let the strings of a value be these names alone."""
    for part in _parts(value):
        if part.get("type") == "string":
            part["enum"] = list(names)


def _refer(value: Any, title: str) -> None:
    """Let a value's entries be those of a task or of a method."""
    for part in _parts(value):
        if part.get("$ref") == "#/$defs/Entry":
            part["$ref"] = f"#/$defs/{title}"


def _parts(value: Any) -> list[dict[str, Any]]:
    """A schema and all schemas inside of it."""
    inner = [*value.get("anyOf", ()), *([value["items"]] if "items" in value else ())]
    return [value, *(part for one in inner for part in _parts(one))]
