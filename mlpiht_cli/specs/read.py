"""From a YAML file to a checked spec; the settings of tasks and methods are the plan's to check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.load import Document, Fault, load
from mlpiht_cli.specs.rules.grids import profile_faults, seed_faults, size_faults
from mlpiht_cli.specs.rules.names import name_faults
from mlpiht_cli.specs.rules.views import view_faults
from mlpiht_cli.specs.schema import Spec
from mlpiht_cli.specs.wording import faults_of


def _borrowed(document: Document) -> Document:
    """The document with the panels, methods, seeds and profiles of the spec it names in ``cells_of``."""
    name = document.data.get("cells_of")
    if not isinstance(name, str):
        return document
    own = {"panels", "methods", "seeds", "profiles"} & document.data.keys()
    if own:
        raise document.error([Fault((field,), "comes from the spec in cells_of; leave it out") for field in own])
    base = _base(document, name)
    taken = {field: base[field] for field in ("panels", "methods", "seeds", "profiles") if field in base}
    return replace(document, data={**taken, **document.data})


def _base(document: Document, name: str) -> dict[str, Any]:
    """Fields of the spec that ``cells_of`` names, which must be without faults and have cells of its own."""
    bare = name.removesuffix(".yaml").removesuffix(".yml")
    if bare != name:
        raise document.error([Fault(("cells_of",), f"give the bare name, '{bare}'")])
    beside = document.path.parent / f"{name}.yaml"
    try:
        path = beside if beside.is_file() else find_spec(name)
    except InputError as error:
        raise document.error([Fault(("cells_of",), str(error))]) from error
    base = load(path)
    if isinstance(base.data, dict) and "cells_of" in base.data:
        raise document.error([Fault(("cells_of",), f"'{name}' has no cells of its own")])
    spec, own, faults = _checked(base)
    if spec is None or faults:
        raise own.error(faults)
    return dict(own.data)


def read_spec(path: Path) -> tuple[Spec | None, Document, list[Fault]]:
    """Read a spec and list all that is wrong with it; the spec is None when its schema does not hold.

    Raises
    ------
    InputError
        The file is not well-formed YAML.
    """
    return _checked(load(path))


def _checked(document: Document) -> tuple[Spec | None, Document, list[Fault]]:
    if not isinstance(document.data, dict):
        raise InputError(f"{document.path}:1:1: a spec is a mapping of fields; see `mlpiht specs show figure1`")
    document = _borrowed(document)
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        return None, document, [*document.faults, *faults_of(error, (), Spec)]
    faults = size_faults(spec)
    if faults:  # all other checks look at pairs and products
        return None, document, faults
    faults = [*name_faults(spec), *view_faults(spec), *seed_faults(spec), *profile_faults(spec)]
    return spec, document, [*document.faults, *faults]


def load_spec(path: Path) -> Spec:
    """Read a spec by its schema alone, settings of tasks and methods unseen (for plotting, without torch).

    Raises
    ------
    InputError
        All that is wrong, with positions.
    """
    spec, document, faults = read_spec(path)
    if spec is None or faults:
        raise document.error(faults)
    return spec
