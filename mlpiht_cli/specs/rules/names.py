"""Names in a spec: where its tasks and methods stand, and names that two things share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.load import Fault, Location
from mlpiht_cli.specs.schema import Entry


class RawEntry(NamedTuple):
    """What stands where a task or method should: its place, its value, and ``task`` or ``method``."""

    location: Location
    value: Any
    kind: str


def raw_entries(data: Any) -> Iterator[RawEntry]:
    """Task and method entries of a document, whether or not the rest of it holds."""
    panels = data.get("panels")
    for i, panel in enumerate(panels if isinstance(panels, list) else []):
        if isinstance(panel, dict):
            yield RawEntry(("panels", i, "task"), panel.get("task"), "task")
            yield from _listed(panel.get("methods"), ("panels", i, "methods"))
    yield from _listed(data.get("methods"), ("methods",))


def _listed(entries: Any, location: Location) -> Iterator[RawEntry]:
    for j, entry in enumerate(entries if isinstance(entries, list) else []):
        yield RawEntry((*location, j), entry, "method")


def name_faults(draft: Draft) -> list[Fault]:
    """Panels, claims, pictures or methods that share a name or label, and variants of a method with equal settings."""
    faults, spec = [], draft.spec
    for field in ("panels", "claims", "pictures"):
        names = [one.name for one in getattr(spec, field)]
        faults += [
            Fault((field, i, "name"), f"two {field} have the same name, '{name}'") for i, name in _repeated(names)
        ]
    faults += _method_faults(spec.methods, "methods", ("methods",))
    for i, panel in enumerate(spec.panels):
        faults += _method_faults(panel.methods or [], f"methods of panel '{panel.name}'", ("panels", i, "methods"))
    return faults


def _repeated(names: Sequence[str]) -> list[tuple[int, str]]:
    return [(i, name) for i, name in enumerate(names) if name in names[:i]]


def _method_faults(methods: list[Entry], what: str, at: Location) -> list[Fault]:
    """Rows of a table are told apart by their settings, so variants must differ in one that each of them gives."""
    repeated = dict(_repeated([one.shown for one in methods]))
    faults = [
        Fault((*at, i, "label" if methods[i].label else "name"), f"two {what} have the same name or label, '{label}'")
        for i, label in repeated.items()
    ]
    for i, one in enumerate(methods):
        same = next((other for other in methods[:i] if _alike(one, other)), None)
        if same is not None and i not in repeated:
            pair = f"'{same.shown}' and '{one.shown}' are variants of {one.name}"
            faults.append(Fault((*at, i), f"{pair}: give each a setting in which they differ"))
    return faults


def _alike(one: Entry, other: Entry) -> bool:
    both = one.settings.keys() & other.settings.keys()
    return one.name == other.name and all(one.settings[key] == other.settings[key] for key in both)
