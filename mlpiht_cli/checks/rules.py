"""Faults in the claims and pictures of a spec, found before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from mlpiht_cli.checks.measures import COMPARISONS, MEASURES, NEED_LEVEL, NEED_WORD
from mlpiht_cli.checks.sample import Place
from mlpiht_cli.checks.thresholds import THRESHOLDS, grid_fault
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import PanelGrid
from mlpiht_cli.specs.filters import Filter, parse_only
from mlpiht_cli.specs.load import Fault, Location
from mlpiht_cli.specs.schema import PAPER, Claim

EVERY_MEASURE = (*MEASURES, *THRESHOLDS)
"""Names that a claim may give as its measure."""


def claim_faults(draft: Draft) -> list[Fault]:
    """Faults of claims and pictures that the schema does not see."""
    faults = [fault for i, claim in enumerate(draft.spec.claims) for fault in _of_claim(claim, ("claims", i), draft)]
    return [*faults, *_of_pictures(draft)]


def _of_claim(claim: Claim, at: Location, draft: Draft) -> Iterator[Fault]:
    if claim.measure not in EVERY_MEASURE:
        yield Fault((*at, "measure"), f"unknown measure '{claim.measure}'{did_you_mean(claim.measure, EVERY_MEASURE)}")
    if claim.measure in COMPARISONS and claim.against is None:
        yield Fault((*at, "against"), f"{claim.measure} needs the label of the method it compares with")
    if claim.measure in NEED_LEVEL | THRESHOLDS.keys() and claim.level is None:
        yield Fault((*at, "level"), f"{claim.measure} needs the level that it counts from")
    if claim.measure in NEED_WORD:
        for field, what in (("word", "the word that it counts"), ("metric", "the measure that is a word")):
            if getattr(claim, field) is None:
                yield Fault((*at, field), f"{claim.measure} needs {what}")
    elif claim.word is not None:
        yield Fault((*at, "word"), f"{claim.measure} is of numbers; only {' and '.join(NEED_WORD)} counts a word")
    for profile in claim.profiles or []:
        if profile not in draft.spec.profiles and profile != PAPER and draft.whole("profiles"):
            hint = did_you_mean(profile, draft.spec.profiles)
            yield Fault((*at, "profiles"), f"the spec has no profile '{profile}'{hint}")
    try:
        chosen = parse_only(claim.where, option="where")
    except InputError as error:
        yield Fault((*at, "where"), str(error))
        return
    if draft.whole("panels", "methods"):
        yield from _of_cells(claim, chosen, at, draft)
    elif draft.whole("panels") and not chosen.of_methods and not chosen.parts(draft.expansion()):
        yield Fault((*at, "where"), f"no cell of {draft.spec.name} fits '{claim.where}'")


def _of_cells(claim: Claim, chosen: Filter, at: Location, draft: Draft) -> Iterator[Fault]:
    """A claim must be about cells of its spec, and about methods of their panels."""
    panels = {part.name for part in chosen.parts(draft.expansion())}
    if not panels:
        yield Fault((*at, "where"), f"no cell of {draft.spec.name} fits '{claim.where}'")
        return
    labels = {label for grid in draft.expansion().grids if grid.name in panels for label in grid.labels}
    named = {field: getattr(claim, field) for field in ("method", "against") if getattr(claim, field) is not None}
    unknown = {field: label for field, label in named.items() if label not in labels}
    for field, label in unknown.items():
        yield Fault((*at, field), f"no method '{label}' in these panels{did_you_mean(label, labels)}")
    if not unknown:
        yield from _of_profiles(claim, chosen, at, draft)


def _of_profiles(claim: Claim, chosen: Filter, at: Location, draft: Draft) -> Iterator[Fault]:
    """A profile in which a claim is to hold must have cells that it is about."""
    labels = {claim.method} | ({claim.against} if claim.against is not None else set())
    empty = []
    for profile in claim.profiles or dict.fromkeys([PAPER, *draft.spec.profile_names]):
        if profile not in draft.spec.profile_names or not draft.sound("profiles", profile):
            continue
        parts = chosen.parts(draft.expansion(profile))
        if not any(set.intersection(*map(part.seeds_under, labels)) for part in parts):
            empty.append(profile)
        elif claim.measure in THRESHOLDS:
            fault = grid_fault(claim.measure, (place for part in parts for place in _places(part, claim.method)))
            if fault is not None:
                yield Fault((*at, "where"), f"{fault} (profile {profile})")
    if empty:
        of = f"{' and '.join(sorted(labels))} in profile {' or '.join(empty)}"
        hint = "widen where, or name the profiles in which the claim is meant to hold"
        yield Fault((*at, "where"), f"no cell of {of}; {hint}")


def _places(part: PanelGrid, label: str) -> Iterator[Place]:
    if label in part.labels:
        for m, s, size in product(part.m, part.s, part.sizes):
            yield Place(part.name, m, s, *size)


def _of_pictures(draft: Draft) -> Iterator[Fault]:
    spec = draft.spec
    panels = {panel.name: panel for panel in spec.panels}
    for i, picture in enumerate(spec.pictures):
        panel = panels.get(picture.panel)
        if panel is None:
            if draft.whole("panels"):
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
