"""From a YAML file to a checked spec; the settings of tasks and methods are the plan's to check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.draft import Draft, draft_of
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.load import Document, Fault, Location, read_document
from mlpiht_cli.specs.rules.grids import profile_faults, seed_faults, size_faults
from mlpiht_cli.specs.rules.names import name_faults
from mlpiht_cli.specs.rules.views import view_faults
from mlpiht_cli.specs.schema import Entry, Spec
from mlpiht_cli.specs.wording import faults_of

BORROWED = ("panels", "methods", "seeds", "profiles")
"""Fields that a spec with ``cells_of`` takes from the spec that it names."""


def read_spec(path: Path) -> Draft:
    """Read a spec as far as it holds, with all that its schema alone can tell to be wrong.

    Raises
    ------
    InputError
        The file is not well-formed YAML, or has more of anything than a sweep could ever run.
    """
    return _draft(read_document(path))


def load_spec(path: Path) -> Spec:
    """Read a spec by its schema alone, settings of tasks and methods unseen (for plotting, without torch).

    Raises
    ------
    InputError
        All that is wrong, with positions.
    """
    draft = read_spec(path)
    draft.check()
    return draft.spec


def _draft(document: Document) -> Draft:
    if not isinstance(document.data, dict):
        raise InputError(f"{document.path}:1:1: a spec is a mapping of fields; see `mlpiht specs show figure1`")
    document, faults = _borrowed(document)
    faults = [*document.faults, *faults]
    try:
        draft = Draft(Spec.model_validate(document.data), document, faults)
    except ValidationError as error:
        absent = {(name,) for name in BORROWED} if "cells_of" in document.data else set()
        faults += [fault for fault in faults_of(error, (), Spec) if fault.location not in absent]
        draft = draft_of(document, error, faults)
    too_large = size_faults(draft)
    if too_large:  # all other rules look at pairs and products
        draft.add(too_large)
        draft.check()
    for rule in (name_faults, view_faults, seed_faults, profile_faults):
        draft.add(rule(draft))
    draft.add(_source_faults(draft.spec, document.path))
    return draft


def _source_faults(spec: Spec, own: Path) -> list[Fault]:
    """Methods whose rows are said to be in the table of no other spec."""
    lists: list[tuple[Location, list[Entry]]] = [(("methods",), spec.methods)]
    lists += [(("panels", i, "methods"), panel.methods or []) for i, panel in enumerate(spec.panels)]
    faults = []
    for at, entries in lists:
        for j, entry in enumerate(entries):
            try:
                if entry.rows_of is not None and _path_of(entry.rows_of, own.parent) == own:
                    raise _NoCells(f"'{entry.rows_of}' is this spec; leave it out")
            except _NoCells as error:
                faults.append(Fault((*at, j, "rows_of"), str(error)))
    return faults


def _borrowed(document: Document) -> tuple[Document, list[Fault]]:
    """The document with the panels, methods, seeds and profiles of the spec that ``cells_of`` names, and its faults."""
    name = document.data.get("cells_of")
    if not isinstance(name, str):
        return document, []
    own = [field for field in BORROWED if field in document.data]
    faults = [Fault((field,), "comes from the spec in cells_of; leave it out") for field in own]
    rest = {field: value for field, value in document.data.items() if field not in own}
    try:
        taken = _cells_of(name, document.path.parent)
    except _NoCells as error:
        return replace(document, data=rest), [*faults, Fault(("cells_of",), str(error))]
    return replace(document, data={**taken, **rest}), faults


class _NoCells(Exception):
    """Why a spec cannot take its cells from another."""


def _cells_of(name: str, folder: Path) -> dict[str, Any]:
    """Fields that are taken from the spec of a name, which must be without faults and have cells of its own."""
    base = read_document(_path_of(name, folder))
    if isinstance(base.data, dict) and "cells_of" in base.data:
        raise _NoCells(f"'{name}' has no cells of its own")
    _draft(base).check()
    return {field: base.data[field] for field in BORROWED if field in base.data}


def _path_of(name: str, folder: Path) -> Path:
    """Path of the spec of a bare name, in a folder or shipped."""
    bare = name.removesuffix(".yaml").removesuffix(".yml")
    if bare != name:
        raise _NoCells(f"give the bare name, '{bare}'")
    neighbour = folder / f"{name}.yaml"
    try:
        return neighbour if neighbour.is_file() else find_spec(name)
    except InputError as error:
        raise _NoCells(str(error)) from error
