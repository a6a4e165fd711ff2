"""A spec as far as its file holds, so that one round of checks finds the faults of all its parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError, create_model

from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.expand import Expansion, expand
from mlpiht_cli.specs.fields import Name, Seed
from mlpiht_cli.specs.figure import FigureSpec
from mlpiht_cli.specs.load import Document, Fault, Location
from mlpiht_cli.specs.schema import SPEC_VERSION, Entry, Panel, Spec

LISTS: tuple[Location, ...] = (("panels",), ("methods",), ("claims",), ("pictures",), ("figure", "views"))
"""Lists whose items are left out one by one; a profile is left out by its name, another field as a whole."""

FORGIVEN = frozenset({"claims", "figure", "pictures"})
"""Fields whose parts are checked on although they have unknown fields."""


@dataclass
class Draft:
    """A spec without the parts that have faults of structure, and all faults found so far.

    Rules see the spec alone: they skip what refers to parts that are left out (:meth:`whole`), and the positions they
    name are turned into those of the file (:meth:`add`).

    Attributes
    ----------
    faults
        At their places in the file.
    left_out
        Places in the file of the parts that are left out.
    misspelt
        Places in the file of the parts that have unknown fields: what such a part does not give, it may mean to give.
    positions
        Of each list that items are left out of: the place in the file of each item that is kept.
    """

    spec: Spec
    document: Document | None = None
    faults: list[Fault] = field(default_factory=list)
    left_out: frozenset[Location] = frozenset()
    misspelt: frozenset[Location] = frozenset()
    positions: Mapping[Location, Sequence[int]] = field(default_factory=dict)
    _expansions: dict[str, Expansion] = field(default_factory=dict)

    def expansion(self, profile: str = "") -> Expansion:
        """The spec in a profile, or as it stands without one, expanded once.

        Raises
        ------
        InputError
            The spec has no such profile.
        """
        if profile not in self._expansions:
            self._expansions[profile] = expand(self.spec, profile)
        return self._expansions[profile]

    def whole(self, *fields: str) -> bool:
        """Whether nothing is left out of these fields of the spec."""
        return not any(place[0] in fields for place in self.left_out)

    def sound(self, *location: str | int) -> bool:
        """Whether no fault has been found at this place of the spec or below it."""
        place = self._in_file(location)
        return not any(fault.location[: len(place)] == place for fault in self.faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Add faults at places of the spec; none stands twice."""
        self.add_in_file(replace(fault, location=self._in_file(fault.location)) for fault in faults)

    def add_in_file(self, faults: Iterable[Fault]) -> None:
        """Add faults at places of the file; none stands twice."""
        told = [fault for fault in faults if not self._may_be_meant(fault.location)]
        self.faults = list(dict.fromkeys([*self.faults, *told]))

    def check(self) -> None:
        """Refuse a spec with faults.

        Raises
        ------
        InputError
            All that is wrong, with positions.
        """
        if self.faults and self.document is not None:
            raise self.document.error(self.faults)
        if self.faults:
            raise InputError("; ".join(fault.message for fault in self.faults))

    def _may_be_meant(self, place: Location) -> bool:
        marks = self.document.marks if self.document else {}
        return place not in marks and any(place[:depth] in self.misspelt for depth in range(1, len(place) + 1))

    def _in_file(self, location: Location) -> Location:
        for at, positions in self.positions.items():
            rest = location[len(at) :]
            if location[: len(at)] == at and rest and isinstance(rest[0], int):
                return (*at, positions[rest[0]], *rest[1:])
        return location


def draft_of(document: Document, error: ValidationError, faults: Sequence[Fault]) -> Draft:
    """Draft of a document that the schema refuses.

    Unknown fields of claims, figures and pictures are left out. For each other fault, the smallest part around it is
    left out: a panel, method, claim, picture, view, profile or field of the figure, or else a whole field of the spec.
    A panel that would take its seeds or methods from what is left out goes too.
    """
    unknown = {place for kind, place in _refused(error) if kind == "extra_forbidden" and place[0] in FORGIVEN}
    data = _without(document.data, unknown)
    misspelt = frozenset(_part(place) for place in unknown)
    try:
        return Draft(Spec.model_validate(data), document, [*faults], misspelt=misspelt)
    except ValidationError as more:
        gone = _with_what_needs_them(data, {_part(place) for _, place in _refused(more)})
    positions: dict[Location, list[int]] = {}
    for at in LISTS:
        if at[:1] not in gone and any(place[:-1] == at for place in gone):
            positions[at] = [i for i in range(len(_listed(data, at))) if (*at, i) not in gone]
    return Draft(
        _loose().model_validate(_without(data, gone)), document, [*faults], frozenset(gone), misspelt, positions
    )


def _refused(error: ValidationError) -> list[tuple[str, Location]]:
    """Kind and place of each fault that pydantic finds."""
    items = error.errors(include_url=False, include_input=False, include_context=False)
    return [(item["type"], item["loc"]) for item in items]


def _with_what_needs_them(data: Any, gone: set[Location]) -> set[Location]:
    """Parts to be left out, with the parts that cannot stand without them."""
    gone = set(gone)
    views, methods = _listed(data, ("figure", "views")), _listed(data, ("methods",))
    if views and all(("figure", "views", i) in gone for i in range(len(views))):
        gone.add(("figure",))  # what is left would be another figure
    orphans = {
        "seeds": ("seeds",) in gone,
        "methods": ("methods",) in gone or all(("methods", j) in gone for j in range(len(methods))),
    }
    for i, panel in enumerate(_listed(data, ("panels",))):
        if isinstance(panel, dict) and any(lost and panel.get(name) is None for name, lost in orphans.items()):
            gone.add(("panels", i))
    return gone


def _without(data: Any, places: Collection[Location], at: Location = ()) -> Any:
    """A copy of the data without the values at some places."""
    if isinstance(data, dict):
        items = [(name, (*at, name)) for name in data]
        return {name: _without(data[name], places, place) for name, place in items if place not in places}
    if isinstance(data, list):
        spots = [(i, (*at, i)) for i in range(len(data))]
        return [_without(data[i], places, place) for i, place in spots if place not in places]
    return data


def _part(place: Location) -> Location:
    """The smallest part around a place that can be left out."""
    for at in (*LISTS, ("profiles",)):
        if place[: len(at)] == at and len(place) > len(at):
            return place[: len(at) + 1]
    return place[:2] if place[0] == "figure" and place[1:] != ("label",) else place[:1]


def _listed(data: Any, at: Location) -> list[Any]:
    for name in at:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, list) else []


def _loose() -> type[Spec]:
    """The schema without fields that a spec must have."""
    return create_model(
        "Loose",
        __base__=Spec,
        spec_version=(int, SPEC_VERSION),
        name=(Name, "the spec"),
        title=(str, ""),
        source=(str, ""),
        seeds=(list[Seed], []),
        methods=(list[Entry], []),
        panels=(list[Panel], []),
        figure=(FigureSpec, FigureSpec(label="")),
    )
