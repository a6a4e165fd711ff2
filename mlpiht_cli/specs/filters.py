"""Filters such as ``method=iht,m<=100``: which grid points they admit, and which part of a panel's grid that is."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.expand import Expansion, PanelGrid
from mlpiht_cli.specs.point import Point

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_NUMBERS = ("depth", "m", "s", "seed", "n", "d")
_WORDS = ("panel", "task", "method", "label")


@dataclass(frozen=True)
class Condition:
    """One condition: a field of a grid point, a sign, and the values it is compared with."""

    field: str
    sign: str
    values: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value of the field fits; None, which stands for an axis that does not vary, never does."""
        compare, combine = _OPERATORS[self.sign], all if self.sign == "!=" else any
        return value is not None and combine(compare(value, one) for one in self.values)


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold; without conditions every point passes.

    Each condition is on one field, so a filter shrinks every axis of a panel by itself, and what is left is exactly
    the grid of the points that it admits.
    """

    conditions: tuple[Condition, ...] = ()

    @property
    def of_methods(self) -> bool:
        """Whether a condition is on the method, its label or its seeds."""
        return any(one.field in ("method", "label", "seed") for one in self.conditions)

    def admits(self, point: Point) -> bool:
        """Whether a grid point fits."""
        return all(one.holds(getattr(point, one.field)) for one in self.conditions)

    def part(self, grid: PanelGrid) -> PanelGrid | None:
        """Part of a panel's grid that fits; None where there is none."""
        panel = grid.panel
        fixed = {"panel": panel.name, "task": panel.task.name, "depth": panel.depth}
        if not all(self._kept(field, [value]) for field, value in fixed.items()):
            return None
        axes: dict[str, Any] = {axis: self._kept(axis, getattr(grid, axis)) for axis in ("m", "s", "n", "d")}
        small = replace(grid, seeds=self._kept("seed", grid.seeds), **axes)
        entries = [
            entry
            for entry in grid.methods
            if self._kept("method", [entry.name]) and self._kept("label", [entry.shown]) and small.seeds_of(entry)
        ]
        return replace(small, methods=tuple(entries)) if entries and all(axes.values()) else None

    def parts(self, expansion: Expansion) -> list[PanelGrid]:
        """Parts of all panels that have one."""
        return [part for grid in expansion.grids if (part := self.part(grid)) is not None]

    def _kept(self, field: str, values: Sequence[Any]) -> tuple[Any, ...]:
        own = [one for one in self.conditions if one.field == field]
        return tuple(value for value in values if all(one.holds(value) for one in own))


def parse_only(text: str | None, option: str = "--only") -> Filter:
    """Parse a filter such as ``method=iht,m<=100,seed=0|1``: all conditions must hold, ``|`` lists values.

    A condition on n or d never holds where the panel does not vary it. No filter (None) lets every point pass.

    Raises
    ------
    InputError
        A condition cannot be understood.
    """
    if text is None:
        return Filter()
    conditions = tuple(_condition(part.strip(), option) for part in text.split(",") if part.strip())
    if not conditions:
        raise InputError(f"{option} is empty; give conditions such as 'method=iht,m<=100'")
    return Filter(conditions)


def _condition(text: str, option: str) -> Condition:
    match = re.fullmatch(r"(\w+)\s*(<=|>=|!=|=|<|>)\s*(.+)", text)
    if not match:
        raise InputError(f"{option}: cannot read '{text}'; write conditions such as 'method=iht,m<=100'")
    name, sign, value = match.groups()
    if name not in _NUMBERS + _WORDS:
        raise InputError(f"{option}: unknown field '{name}'{did_you_mean(name, _NUMBERS + _WORDS)}")
    values: list[Any] = [part.strip() for part in value.split("|")]
    if name in _NUMBERS:
        if not all(re.fullmatch(r"[0-9]{1,18}", part) for part in values):
            raise InputError(f"{option}: '{value[:40]}' is not a number of at most 18 digits, in '{text[:60]}'")
        values = [int(part) for part in values]
    elif sign not in ("=", "!="):
        raise InputError(f"{option}: '{name}' is a name; use = or !=, in '{text}'")
    return Condition(name, sign, tuple(values))
