"""What is wrong with the grids of a spec and of its profiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlpiht_cli.specs.load import Fault, Location

if TYPE_CHECKING:
    from mlpiht_cli.specs.schema import Panel, Spec

MAX_CELLS = 200_000
MAX_ENTRIES = 200
AXES = ("m", "s", "seeds", "n", "d")
"""Lists of a panel that a profile may shrink; a panel need not vary n and d."""


def size_faults(spec: Spec) -> list[Fault]:
    """More of anything than a sweep could ever run."""
    faults = [
        Fault((field,), f"{len(values)} are more than the {MAX_ENTRIES} that a spec may have")
        for field in ("panels", "methods", "claims", "pictures")
        if len(values := getattr(spec, field)) > MAX_ENTRIES
    ]
    total = sum(
        len(panel.methods or spec.methods) * math.prod(len(grid(panel, axis, spec) or [None]) for axis in AXES)
        for panel in spec.panels
    )
    return [*faults, *([Fault(("panels",), f"{total} cells are more than {MAX_CELLS}")] if total > MAX_CELLS else [])]


def grid(panel: Panel, axis: str, spec: Spec) -> list[int] | None:
    """Values of one axis of a panel; None for n or d where it does not vary them."""
    values: list[int] | None = getattr(panel, axis)
    return spec.seeds if values is None and axis == "seeds" else values


def seed_faults(spec: Spec) -> list[Fault]:
    """Seeds of a method that some panel does not run, or of a task, and profiles that leave a method none."""
    faults = []
    for i, panel in enumerate(spec.panels):
        if panel.task.seeds is not None:
            faults.append(Fault(("panels", i, "task", "seeds"), "a task has no seeds; give them to a method"))
        at: Location = ("panels", i, "methods") if panel.methods else ("methods",)
        seeds = set(grid(panel, "seeds", spec) or [])
        for j, method in enumerate(panel.methods or spec.methods):
            own = set(seeds if method.seeds is None else method.seeds)
            faults += [
                Fault((*at, j, "seeds"), f"{seed} is not among the seeds of panel '{panel.name}'")
                for seed in sorted(own - seeds)
            ]
            faults += [
                Fault(
                    ("profiles", name, "seeds"),
                    f"leaves '{method.shown}' of panel '{panel.name}' without any seed",
                )
                for name, profile in spec.profiles.items()
                if profile.seeds is not None and method.seeds is not None and not own & set(profile.seeds)
            ]
    return faults


def profile_faults(spec: Spec) -> list[Fault]:
    """Profiles that do not shrink the spec: values it has nowhere, or a panel left without any."""
    faults = []
    for name, profile in spec.profiles.items():
        for axis in AXES:
            wanted = getattr(profile, axis)
            if wanted is None:
                continue
            grids = {panel.name: values for panel in spec.panels if (values := grid(panel, axis, spec)) is not None}
            at = ("profiles", name, axis)
            known = {value for values in grids.values() for value in values}
            faults += [
                Fault((*at, i), f"{value} is in no panel; a profile only shrinks grids")
                for i, value in enumerate(wanted)
                if value not in known
            ]
            faults += [
                Fault(at, f"leaves panel '{panel}' without any value")
                for panel, values in grids.items()
                if not set(values) & set(wanted)
            ]
    return faults
