"""Faults in the claims and pictures of a spec, found before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator

from mlpiht_cli.checks.measures import COMPARISONS, MEASURES, NEED_LEVEL, Place
from mlpiht_cli.checks.thresholds import THRESHOLDS, grid_fault
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.expand import Point, parse_only, points, with_profile
from mlpiht_cli.specs.load import Fault, Location
from mlpiht_cli.specs.schema import PAPER, Claim, Spec


def claim_faults(spec: Spec | None) -> list[Fault]:
    """Faults of claims and pictures beyond those of the schema; none for a spec that does not fit the schema."""
    if spec is None:
        return []
    every = list(points(spec))
    faults = [fault for i, claim in enumerate(spec.claims) for fault in _of_claim(claim, ("claims", i), spec, every)]
    return [*faults, *_of_pictures(spec)]


def _of_claim(claim: Claim, at: Location, spec: Spec, every: list[Point]) -> Iterator[Fault]:
    known = {**MEASURES, **THRESHOLDS}
    if claim.measure not in known:
        yield Fault((*at, "measure"), f"unknown measure '{claim.measure}'{did_you_mean(claim.measure, known)}")
    if claim.measure in COMPARISONS and claim.against is None:
        yield Fault((*at, "against"), f"{claim.measure} needs the label of the method it compares with")
    if claim.measure in NEED_LEVEL | THRESHOLDS.keys() and claim.level is None:
        yield Fault((*at, "level"), f"{claim.measure} needs the level that it counts from")
    try:
        chosen = parse_only(claim.where, option="where")
    except InputError as error:
        yield Fault((*at, "where"), str(error))
        return
    panels = {point.panel for point in every if chosen(point)}
    if not panels:
        yield Fault((*at, "where"), f"no cell of {spec.name} fits '{claim.where}'")
        return
    labels = {point.label for point in every if point.panel in panels}
    named = {field: getattr(claim, field) for field in ("method", "against") if getattr(claim, field) is not None}
    unknown = {field: label for field, label in named.items() if label not in labels}
    for field, label in unknown.items():
        yield Fault((*at, field), f"no method '{label}' in these panels{did_you_mean(label, labels)}")
    if not unknown:
        yield from _of_cells(claim, at, spec)


def _of_cells(claim: Claim, at: Location, spec: Spec) -> Iterator[Fault]:
    """A profile in which a claim is to hold must have cells that it speaks of."""
    chosen = parse_only(claim.where, option="where")
    labels = {claim.method} | ({claim.against} if claim.against is not None else set())
    empty = []
    for profile in claim.profiles or dict.fromkeys([PAPER, *spec.profiles]):
        if profile not in spec.profiles and profile != PAPER:
            yield Fault((*at, "profiles"), f"the spec has no profile '{profile}'{did_you_mean(profile, spec.profiles)}")
            continue
        here = [point for point in points(with_profile(spec, profile)) if chosen(point)]
        places = [{(p.panel, p.m, p.s, p.n, p.d, p.seed) for p in here if p.label == label} for label in labels]
        empty += [] if set.intersection(*places) else [profile]
        shown = {Place(p.panel, p.m, p.s, p.n, p.d) for p in here if p.label == claim.method}
        fault = grid_fault(claim.measure, shown) if claim.measure in THRESHOLDS else None
        if fault is not None:
            yield Fault((*at, "where"), f"{fault} (profile {profile})")
    if empty:
        of = f"{' and '.join(sorted(labels))} in profile {' or '.join(empty)}"
        hint = "widen where, or name the profiles in which the claim is meant to hold"
        yield Fault((*at, "where"), f"no cell of {of}; {hint}")


def _of_pictures(spec: Spec) -> Iterator[Fault]:
    panels = {panel.name: panel for panel in spec.panels}
    for i, picture in enumerate(spec.pictures):
        panel = panels.get(picture.panel)
        if panel is None:
            hint = did_you_mean(picture.panel, panels)
            yield Fault(("pictures", i, "panel"), f"unknown panel '{picture.panel}'{hint}")
            continue
        if panel.sizes != [(None, None)]:
            yield Fault(("pictures", i, "panel"), f"panel '{panel.name}' varies n or d; a picture is of one data set")
        if picture.m not in panel.m:
            yield Fault(("pictures", i, "m"), f"{picture.m} is not among the widths of panel '{panel.name}'")
        if picture.seed != "best" and picture.seed not in (panel.seeds or spec.seeds):
            yield Fault(("pictures", i, "seed"), f"{picture.seed} is not among the seeds of panel '{panel.name}'")
        for j, s in enumerate(picture.s):
            if s not in panel.s:
                yield Fault(("pictures", i, "s", j), f"{s} is not among the budgets of panel '{panel.name}'")
