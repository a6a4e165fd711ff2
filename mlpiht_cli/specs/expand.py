"""From a spec to its grid points: profiles and filters. A grid point names a cell; it runs nothing."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.rules.grids import AXES, grid
from mlpiht_cli.specs.schema import PAPER, Entry, Panel, Profile, Spec


@dataclass(frozen=True)
class Point:
    """One grid point of a spec; ``n`` and ``d`` are None where the panel does not vary them."""

    panel: str
    task: str
    method: str
    depth: int
    m: int
    s: int
    seed: int
    label: str = ""
    n: int | None = None
    d: int | None = None


def with_profile(spec: Spec, name: str) -> Spec:
    """Return the spec with its grids shrunk by a profile; the paper profile is the spec itself, named or not.

    Raises
    ------
    InputError
        The spec has no such profile.
    """
    if name not in spec.profiles and name == PAPER:
        return spec
    if name not in spec.profiles:
        raise InputError(f"spec {spec.name} has no profile '{name}'{did_you_mean(name, spec.profiles)}")
    profile = spec.profiles[name]
    panels = [_shrink(panel, spec, profile) for panel in spec.panels]
    return spec.model_copy(update={"panels": panels})


def _shrink(panel: Panel, spec: Spec, profile: Profile) -> Panel:
    def kept(values: list[int] | None, wanted: list[int] | None) -> list[int] | None:
        return values if values is None or wanted is None else [value for value in values if value in set(wanted)]

    grids = {axis: kept(grid(panel, axis, spec), getattr(profile, axis)) for axis in AXES}
    return panel.model_copy(update={**grids, "methods": panel.methods or spec.methods})


def methods_of(panel: Panel, spec: Spec) -> list[Entry]:
    """Methods run on a panel."""
    return panel.methods or spec.methods


def points(spec: Spec) -> Iterator[Point]:
    """Yield the grid points of a spec, panel by panel."""
    for panel in spec.panels:
        grids = methods_of(panel, spec), panel.sizes, panel.m, panel.s, panel.seeds or spec.seeds
        for method, size, m, s, seed in product(*grids):
            if method.seeds is not None and seed not in method.seeds:
                continue
            yield Point(panel.name, panel.task.name, method.name, panel.depth, m, s, seed, method.shown, *size)


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


def parse_only(text: str | None, option: str = "--only") -> Callable[[Point], bool]:
    """Parse a filter such as ``method=iht,m<=100,seed=0|1``: all conditions must hold, ``|`` lists values.

    A condition on n or d never holds where the panel does not vary it. No filter (None) lets every point pass.

    Raises
    ------
    InputError
        A condition cannot be understood.
    """
    if text is None:
        return lambda _: True
    tests = [_condition(part.strip(), option) for part in text.split(",") if part.strip()]
    if not tests:
        raise InputError(f"{option} is empty; give conditions such as 'method=iht,m<=100'")
    return lambda point: all(test(point) for test in tests)


def _condition(text: str, option: str) -> Callable[[Point], bool]:
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
    compare, combine = _OPERATORS[sign], all if sign == "!=" else any

    def holds(point: Point) -> bool:
        here = getattr(point, name)
        return here is not None and combine(compare(here, one) for one in values)

    return holds
