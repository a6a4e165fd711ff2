"""An experiment: a checked spec whose profiles are expanded once, and whose tasks, methods and cells are made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.objects import Objects, Settings, objects
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import Expansion, PanelGrid
from mlpiht_cli.specs.schema import Size, Spec


@dataclass(frozen=True)
class Plan:
    """A spec in one profile, with the settings that come over its own: what is run."""

    expansion: Expansion
    sets: Settings
    _made: dict[tuple[str, Size], Objects] = field(default_factory=dict, repr=False)

    def made(self, grid: PanelGrid, size: Size) -> Objects:
        """Task and methods of a panel at one size.

        Raises
        ------
        PanelError
            The settings of one of them are wrong.
        """
        if (grid.name, size) not in self._made:
            self._made[grid.name, size] = objects(grid, size, self.sets)
        return self._made[grid.name, size]

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells, in the order of the grid points."""
        spec, profile = self.expansion.spec, self.expansion.profile
        out = []
        for grid in self.expansion.grids:
            made = {size: self.made(grid, size) for size in grid.sizes}
            for point in grid.points(running=True):
                task, methods = made[Size(point.n, point.d)]
                method = methods[point.label]
                out.append(Cell(point, task, method, spec.name, spec.figure.label, profile, spec.cells_of or ""))
        return out


@dataclass(frozen=True)
class Experiment:
    """A spec, and the settings of the command line that come over those of its profiles."""

    draft: Draft
    overrides: Settings = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict, repr=False)

    @property
    def spec(self) -> Spec:
        """The spec."""
        return self.draft.spec

    def plan(self, profile: str) -> Plan:
        """The spec in a profile, with the overrides.

        Raises
        ------
        InputError
            The spec has no such profile.
        """
        if profile not in self._plans:
            expansion = self.draft.expansion(profile)
            self._plans[profile] = Plan(expansion, {**expansion.sets, **self.overrides})
        return self._plans[profile]

    def cells(self, profile: str) -> list[Cell]:
        """Cells of the spec in a profile.

        Raises
        ------
        InputError
            The spec has no such profile.
        """
        return self.plan(profile).cells
