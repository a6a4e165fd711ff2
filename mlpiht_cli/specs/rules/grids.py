"""What is wrong with the grids of a spec and of its profiles."""

from __future__ import annotations

from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import PROFILE_AXES, axis_values
from mlpiht_cli.specs.load import Fault, Location

MAX_CELLS = 200_000
MAX_ENTRIES = 200


def size_faults(draft: Draft) -> list[Fault]:
    """More of anything than a sweep could ever run."""
    faults = [
        Fault((field,), f"{len(values)} are more than the {MAX_ENTRIES} that a spec may have")
        for field in ("panels", "methods", "claims", "pictures")
        if len(values := getattr(draft.spec, field)) > MAX_ENTRIES
    ]
    total = draft.expansion().total
    return [*faults, *([Fault(("panels",), f"{total} cells are more than {MAX_CELLS}")] if total > MAX_CELLS else [])]


def seed_faults(draft: Draft) -> list[Fault]:
    """Seeds of a method that some panel does not run, or of a task, and profiles that leave a method none."""
    faults = []
    for i, grid in enumerate(draft.expansion().grids):
        if grid.panel.task.seeds is not None:
            faults.append(Fault(("panels", i, "task", "seeds"), "a task has no seeds; give them to a method"))
        at: Location = ("panels", i, "methods") if grid.panel.methods else ("methods",)
        for j, method in enumerate(grid.methods):
            own = set(grid.seeds if method.seeds is None else method.seeds)
            faults += [
                Fault((*at, j, "seeds"), f"{seed} is not among the seeds of panel '{grid.name}'")
                for seed in sorted(own - set(grid.seeds))
            ]
            faults += [
                Fault(
                    ("profiles", name, "seeds"),
                    f"leaves '{method.shown}' of panel '{grid.name}' without any seed",
                )
                for name, profile in draft.spec.profiles.items()
                if profile.seeds is not None and method.seeds is not None and not own & set(profile.seeds)
            ]
    return faults


def profile_faults(draft: Draft) -> list[Fault]:
    """Profiles that do not shrink the spec: values it has nowhere, or a panel left without any."""
    faults = []
    spec, complete = draft.spec, draft.whole("panels")
    for name, profile in spec.profiles.items():
        for axis in PROFILE_AXES:
            wanted = getattr(profile, axis)
            if wanted is None:
                continue
            grids = {p.name: values for p in spec.panels if (values := axis_values(p, axis, spec)) is not None}
            at = ("profiles", name, axis)
            known = {value for values in grids.values() for value in values}
            faults += [
                Fault((*at, i), f"{value} is in no panel; a profile only shrinks grids")
                for i, value in enumerate(wanted)
                if complete and value not in known
            ]
            faults += [
                Fault(at, f"leaves panel '{panel}' without any value")
                for panel, values in grids.items()
                if not set(values) & set(wanted)
            ]
    return faults
