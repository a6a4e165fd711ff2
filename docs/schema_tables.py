"""Tables of a spec's fields and of the settings of tasks and methods, from the JSON schema of specs."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]
WORDS = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text"}
ENTRY = "name with settings"
FEW = 6
"""Values that a type is written out with; the page lists more of them elsewhere."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *[[cell.replace("|", r"\|") for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """A docstring's paragraph as Markdown: one line, roles and double backticks undone."""
    text = re.sub(r":\w+:`~?([^`]*)`", lambda found: f"`{found[1].rsplit('.', 1)[-1]}`", text)
    text = " ".join(text.replace("``", "`").split())
    return re.sub(r"<(?=\w+>)(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\<", text)


def paragraph(text: str) -> str:
    """A docstring's paragraph or list as Markdown."""
    items = re.split(r"(?m)^- ", text)
    return plain(text) if len(items) == 1 else "\n".join(f"- {plain(item)}" for item in items[1:])


def spec_schema() -> Schema:
    """The JSON schema of specs, with the settings of every task and method."""
    from mlpiht_cli.plan.spec_schema import spec_schema

    return spec_schema()


def examples() -> dict[str, dict[str, Any]]:
    """An example of each field, by part of the schema."""
    found: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("examples.json").read_text(encoding="utf-8"))
    return found


def part_of(schema: Schema, name: str) -> Schema:
    """A part of a spec by its name; entries of tasks and of methods have the same fields."""
    if name == "Spec":
        return schema
    found: Schema = schema["$defs"].get(name) or schema["$defs"]["Method"]
    return found


def fields(name: str) -> str:
    """Fields of a part of a spec: type, default, meaning, example."""
    schema = spec_schema()
    part = part_of(schema, name)
    shown = examples()[name]
    missing = part["properties"].keys() ^ shown.keys()
    if missing:
        raise SystemExit(f"docs/examples.json: {name}: give exactly one example of each field, see {sorted(missing)}")
    rows = []
    for field, one in part["properties"].items():
        required = field in part.get("required", [])
        default = "required" if required else default_of(one)
        rows.append((f"`{field}`", type_of(one), default, _meaning(one), f"`{field}: {yaml_of(shown[field])}`"))
    return table(["field", "type", "default", "meaning", "example"], rows)


def settings(name: str) -> str:
    """Settings of a task or method."""
    part = spec_schema()["$defs"][name]
    rows = [
        (
            f"`{field}`",
            type_of(one),
            "required" if field in part.get("required", []) else default_of(one),
            _meaning(one),
        )
        for field, one in part["properties"].items()
    ]
    return table(["setting", "type", "default", "meaning"], rows)


def every(kind: str) -> str:
    """All tasks or methods, one after the other."""
    schema = spec_schema()
    sections = []
    for name in sorted(one for one in schema["$defs"] if one.startswith(f"{kind} ")):
        about, own = schema["$defs"][name].get("description", "").split("\n\n"), name.removeprefix(f"{kind} ")
        sections += [
            f"### {own}",
            *map(paragraph, about),
            *([promises(own)] if kind == "method" else suggestions(own)),
            settings(name),
        ]
    return "\n\n".join(sections)


def promises(name: str) -> str:
    """What a method needs of a problem, and which weights it counts against the budget."""
    from mlpiht_cli.plan.registry import METHODS

    kind = METHODS[name]
    words = plain((inspect.getdoc(kind.weights) or "").split("\n\n")[0])
    words = words.removeprefix("Return the number of ").removeprefix("Return ")
    return f"Needs: {kind.needs.text or 'nothing special'}. Counts: {words[0].lower()}{words[1:]}"


def suggestions(name: str) -> list[str]:
    """Defaults of methods that a task replaces, as a paragraph; none where it replaces none."""
    from mlpiht_cli.core.task import Task
    from mlpiht_cli.plan.registry import METHODS, TASKS

    hints = TASKS[name].hints
    if hints is Task.hints:
        return []
    if isinstance(hints, property):
        words = plain((inspect.getdoc(hints) or "").split("\n\n")[0])
        return [f"Defaults of methods on this task: {words}"]
    said = []
    for setting, value in hints.items():
        kept = [f"`{one}`" for one, kind in sorted(METHODS.items()) if setting in kind.unhinted]
        said.append(f"`{setting}: {yaml_of(value)}`{f' (but not of {listed(kept)})' if kept else ''}")
    return [f"Defaults of methods on this task: {', '.join(said)}."]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _meaning(one: Schema) -> str:
    return plain(str(one.get("description", "")))


def type_of(one: Schema) -> str:
    """A type of the schema in words."""
    if "$ref" in one:
        part = one["$ref"].rsplit("/", 1)[-1]
        return {"Entry": ENTRY, "Task": "task", "Method": "method", "FigureSpec": "figure"}.get(part, part.lower())
    if "const" in one:
        return f"`{one['const']}`"
    if "enum" in one:
        return " or ".join(f"`{value}`" for value in one["enum"]) if len(one["enum"]) <= FEW else "listed name"
    kinds = [inner for inner in one.get("anyOf", []) if inner.get("type") != "null"]
    if kinds:
        return " or ".join(dict.fromkeys(map(type_of, kinds)))
    if one.get("type") == "array":
        return "[low, high]" if "prefixItems" in one else f"list of {_plural(type_of(one.get('items', {})))}"
    if one.get("type") == "object":
        inner = one.get("additionalProperties")
        return f"mapping to {_plural(type_of(inner))}" if inner else "mapping"
    return "name" if "pattern" in one else WORDS.get(str(one.get("type")), "any")


def _plural(words: str) -> str:
    if words == ENTRY:
        return "names with settings"
    return words if words.startswith("`") or " or " in words or words == "any" else f"{words}s"


def default_of(one: Schema) -> str:
    """A default of the schema in words."""
    if "default" not in one:
        return "none"
    value = one["default"]
    return "none" if value in (None, "", [], {}) else f"`{json.dumps(value)}`"


def yaml_of(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_of(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_of, value)) + "]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z_][\w. /-]*", value) else json.dumps(value)
    return json.dumps(value)
