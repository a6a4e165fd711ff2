"""Measure the claims of a spec on a table of results, and judge them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.analysis.scores import claimed, intact
from mlpiht_cli.analysis.tables import placed
from mlpiht_cli.checks import thresholds
from mlpiht_cli.checks.measures import COMPARISONS, MEASURES, SHARES_OF_CELLS, standard_error
from mlpiht_cli.checks.sample import Place, Sample, Scores
from mlpiht_cli.core.metric import metric
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.expand import Expansion
from mlpiht_cli.specs.filters import parse_only
from mlpiht_cli.specs.schema import Claim

Verdict = Literal["holds", "fails", "incomplete", "no data", "not judged"]


@dataclass(frozen=True)
class Judged:
    """A claim, its measure on a table, and the verdict.

    Attributes
    ----------
    se
        Jackknife standard error over the seeds; None with one seed.
    interval
        Bootstrap interval over the seeds (95 %), for a measure that is no mean and has no standard error.
    close
        Whether the threshold lies within two standard errors of the measured value, or in the interval.
    cells_used, cells
        Cells (grid points, all seeds together) measured, and those that the claim is about.
    reason
        Facts that the reader needs: rows left out, diverged or altered by hand.
    """

    name: str
    says: str
    measure: str
    measured: float | None
    se: float | None
    interval: tuple[float, float] | None
    bound: Literal["at_least", "at_most"]
    threshold: float
    verdict: Verdict
    close: bool
    cells_used: int
    cells: int
    reason: str

    @property
    def held(self) -> bool:
        """Whether it holds, or is not judged."""
        return self.verdict in ("holds", "not judged")

    @property
    def json(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def check_claims(expansion: Expansion, rows: Iterable[Row]) -> list[Judged]:
    """Judge the claims of a spec in a profile; they must be without faults (see :mod:`mlpiht_cli.checks.rules`)."""
    table = placed(expansion, rows)
    return [_judge(claim, expansion, table) for claim in expansion.spec.claims]


@dataclass
class _Gathered:
    """Scores of one method by place, and the places that are left out, by reason."""

    scores: Scores
    cells: set[Place]
    missing: set[Place]
    skipped: set[Place]
    bad: int
    doctored: Counter[str]


def _gather(label: str, claim: Claim, expansion: Expansion, table: Mapping[RowKey, Row]) -> _Gathered:
    """Scores of a method at the places of the claim; a place counts with all its rows or not at all."""
    wanted: dict[Place, list[int]] = {}
    for part in parse_only(claim.where, option="where").parts(expansion):
        for point in part.points():
            if point.label == label:
                wanted.setdefault(Place(point.panel, point.m, point.s, point.n, point.d), []).append(point.seed)
    out = _Gathered({}, set(wanted), set(), set(), 0, Counter())
    for place, seeds in wanted.items():
        at = RowKey(place.panel, label, place.m, place.s, 0, place.n, place.d)
        rows = {seed: table.get(at._replace(seed=seed)) for seed in seeds}
        there = {seed: row for seed, row in rows.items() if row is not None}
        out.doctored.update(row.metric or "metric" for row in there.values() if not intact(row))
        found = {seed: claimed(row, claim) for seed, row in there.items()}
        known = {seed: value for seed, value in found.items() if value is not None}
        if len(known) < len(found) or any(row.status == "skipped" for row in there.values()):
            out.skipped.add(place)  # even if other seeds have values
        elif len(there) < len(rows):
            out.missing.add(place)
        else:
            low, high = claim.clip or (-math.inf, math.inf)
            out.scores[place] = {seed: v if math.isnan(v) else min(max(v, low), high) for seed, v in known.items()}
            out.bad += sum(map(math.isnan, known.values()))
    return out


def _judge(claim: Claim, expansion: Expansion, table: Mapping[RowKey, Row]) -> Judged:
    sides = [_gather(claim.method, claim, expansion, table)]
    if claim.measure in COMPARISONS:
        sides.append(_gather(claim.against or "", claim, expansion, table))
    cells = set.intersection(*(side.cells for side in sides))
    used = [place for place in sides[0].scores if all(place in side.scores for side in sides)]
    own, other = ({place: side.scores[place] for place in used} for side in (sides[0], sides[-1]))
    found = _measured(Sample(claim, own, other, _falling(claim, cells, table)), table)
    doctored: Counter[str] = sum((side.doctored for side in sides), Counter())
    skipped = set.union(*(side.skipped for side in sides)) & cells
    missing = set.union(*(side.missing for side in sides)) & cells - skipped
    verdict, decided = _verdict(claim, found.value), _decided(claim, found.value, len(used), len(missing))
    if doctored:
        verdict = "fails"
    elif claim.profiles is not None and expansion.profile not in claim.profiles:
        verdict = "not judged"
    elif (missing or found.undecided) and found.value is not None and not decided:
        verdict = "incomplete"
    return Judged(
        name=claim.name,
        says=claim.says,
        measure=claim.measure,
        measured=found.value,
        se=found.se,
        interval=found.interval,
        bound="at_most" if claim.at_least is None else "at_least",
        threshold=_threshold(claim),
        verdict=verdict,
        close=_close(claim, found) and not doctored,
        cells_used=len(used),
        cells=len(cells),
        reason="; ".join(
            [*_doctored(doctored), *found.notes, *_lacking(len(missing), len(skipped), decided), *_bad(claim, sides)]
        ),
    )


@dataclass(frozen=True)
class _Measured:
    """Value of a measure, its uncertainty, and notes for the reader."""

    value: float | None
    se: float | None = None
    interval: tuple[float, float] | None = None
    undecided: bool = False
    notes: tuple[str, ...] = ()


def _measured(sample: Sample, table: Mapping[RowKey, Row]) -> _Measured:
    name = sample.claim.measure
    if name in MEASURES:
        return _Measured(MEASURES[name](sample), standard_error(MEASURES[name], sample))
    sample = replace(sample, own=thresholds.with_dimension(sample.own, table.values()))
    return _Measured(
        value=thresholds.THRESHOLDS[name](sample),
        interval=thresholds.interval(sample),
        undecided=thresholds.open_question(sample),
        notes=tuple(thresholds.notes(sample)),
    )


def _falling(claim: Claim, cells: Collection[Place], table: Mapping[RowKey, Row]) -> bool:
    """Whether less is better: the claim says so, or its metric, or the metric of the rows of its panels."""
    if claim.falling is not None:
        return claim.falling
    panels = {place.panel for place in cells}
    metrics = {claim.metric or row.metric for row in table.values() if row.panel in panels}
    return any(metric(one).falling for one in metrics)


def _threshold(claim: Claim) -> float:
    return float(claim.at_most if claim.at_least is None else claim.at_least)  # type: ignore[arg-type]


def _verdict(claim: Claim, measured: float | None) -> Verdict:
    """Verdict by the threshold alone."""
    if measured is None:
        return "no data"
    threshold = _threshold(claim)
    return "holds" if (measured >= threshold if claim.at_most is None else measured <= threshold) else "fails"


def _decided(claim: Claim, measured: float | None, used: int, missing: int) -> bool:
    """Whether a share of cells stays on its side of the threshold, with all missing cells won or all lost."""
    if measured is None or claim.measure not in SHARES_OF_CELLS:
        return False
    ends = (measured * used / (used + missing), (measured * used + missing) / (used + missing))
    return len({_verdict(claim, end) for end in ends}) == 1


def _close(claim: Claim, found: _Measured) -> bool:
    """Whether the other verdict is within the uncertainty over the seeds."""
    if found.value is None:
        return False
    low, high = found.interval or (found.value - 2 * (found.se or 0.0), found.value + 2 * (found.se or 0.0))
    return low < high and low <= _threshold(claim) <= high


def _doctored(doctored: Counter[str]) -> list[str]:
    return [
        f"{number} rows whose value is not their {name}, or contradicts their other columns"
        for name, number in doctored.items()
    ]


def _lacking(missing: int, skipped: int, decided: bool) -> list[str]:
    lacking = "1 place lacks rows" if missing == 1 else f"{missing} places lack rows"
    said = [lacking + (", which cannot change the verdict" if decided else "")] if missing else []
    out = "1 place is skipped" if skipped == 1 else f"{skipped} places are skipped"
    return said + ([out] if skipped else [])


def _bad(claim: Claim, sides: list[_Gathered]) -> list[str]:
    said = []
    own = "counted as short of the level" if claim.measure == "slope_in_d" else "counted as the worst for the claim"
    counted = (own, "counted as lost to the other method")
    for label, side, how in zip((claim.method, claim.against), sides, counted, strict=False):
        said += [f"{side.bad} rows of {label} diverged or failed, {how}"] if side.bad else []
    return said
