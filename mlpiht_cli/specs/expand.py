"""From a spec to its grid points: a profile is expanded once, and rules, cells, claims and figures receive the result.

A grid point names a cell; it runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.point import Point
from mlpiht_cli.specs.schema import PAPER, Entry, Panel, Profile, Size, Spec

PROFILE_AXES = ("m", "s", "seeds", "n", "d")
"""Lists of a panel that a profile may shrink; a panel need not vary n and d."""


@dataclass(frozen=True)
class PanelGrid:
    """A panel in a profile: its methods, and the values of each axis; n and d hold None where it does not vary them."""

    panel: Panel
    methods: tuple[Entry, ...]
    m: tuple[int, ...]
    s: tuple[int, ...]
    seeds: tuple[int, ...]
    n: tuple[int | None, ...] = (None,)
    d: tuple[int | None, ...] = (None,)

    @property
    def name(self) -> str:
        """Name of the panel."""
        return self.panel.name

    @property
    def sizes(self) -> list[Size]:
        """Every n with every d."""
        return [Size(n, d) for n, d in product(self.n, self.d)]

    @property
    def labels(self) -> list[str]:
        """Labels of the methods, in the order of the spec."""
        return [entry.shown for entry in self.methods]

    @property
    def running(self) -> list[Entry]:
        """Methods that run here; the rows of the others are in the table of another spec."""
        return [entry for entry in self.methods if entry.rows_of is None]

    def seeds_of(self, entry: Entry) -> tuple[int, ...]:
        """Seeds that a method runs with."""
        return self.seeds if entry.seeds is None else tuple(seed for seed in self.seeds if seed in entry.seeds)

    def seeds_under(self, label: str) -> set[int]:
        """Seeds that the method of a label runs with; none where no method has it."""
        return {seed for entry in self.methods if entry.shown == label for seed in self.seeds_of(entry)}

    @property
    def total(self) -> int:
        """Number of grid points that run."""
        runs = sum(len(self.seeds_of(entry)) for entry in self.running)
        return runs * len(self.n) * len(self.d) * len(self.m) * len(self.s)

    def points(self, running: bool = False) -> Iterator[Point]:
        """Yield the grid points, method by method; with ``running``, of the methods that run here alone."""
        name, task, depth = self.panel.name, self.panel.task.name, self.panel.depth
        for entry in self.running if running else self.methods:
            method, label = entry.name, entry.shown
            for size, m, s, seed in product(self.sizes, self.m, self.s, self.seeds_of(entry)):
                yield Point(name, task, method, depth, m, s, seed, label, *size)


@dataclass(frozen=True)
class Expansion:
    """A spec in one of its profiles, its grids shrunk."""

    spec: Spec
    profile: str
    grids: tuple[PanelGrid, ...]
    """One for each panel of the spec, in its order."""
    sets: Mapping[str, Any]
    """Settings that the profile gives, by names such as ``task.n``."""

    @cached_property
    def points(self) -> list[Point]:
        """All grid points that run, panel by panel; each is one cell."""
        return [point for grid in self.grids for point in grid.points(running=True)]

    @property
    def total(self) -> int:
        """Number of grid points that run, counted without making them."""
        return sum(grid.total for grid in self.grids)


def expand(spec: Spec, name: str = "") -> Expansion:
    """Expand a spec in a profile, or as it stands without one; so stands the paper profile that a spec does not name.

    Raises
    ------
    InputError
        The spec has no such profile.
    """
    profiles: dict[str, Profile] = {str(own): profile for own, profile in spec.profiles.items()}
    if name not in profiles and name not in ("", PAPER):
        if not profiles:
            raise InputError(f"spec {spec.name} has no profile '{name}': it has no profiles and runs without --profile")
        raise InputError(f"spec {spec.name} has no profile '{name}'{did_you_mean(name, profiles)}")
    profile = profiles.get(name, Profile())
    sets = {str(setting): value for setting, value in profile.set.items()}
    return Expansion(spec, name, tuple(_grid(panel, spec, profile) for panel in spec.panels), sets)


def _grid(panel: Panel, spec: Spec, profile: Profile) -> PanelGrid:
    def kept(axis: str) -> Any:
        values, wanted = axis_values(panel, axis, spec), getattr(profile, axis)
        if values is None:
            return (None,)
        return tuple(values if wanted is None else filter(set(wanted).__contains__, values))

    grids = {axis: kept(axis) for axis in PROFILE_AXES}
    return PanelGrid(panel, tuple(panel.methods or spec.methods), **grids)


def axis_values(panel: Panel, axis: str, spec: Spec) -> list[int] | None:
    """Values of one axis of a panel; None for n or d where it does not vary them."""
    values: list[int] | None = getattr(panel, axis)
    return spec.seeds if values is None and axis == "seeds" else values
