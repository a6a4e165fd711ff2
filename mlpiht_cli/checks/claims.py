"""Measure the claims of a spec on a table of results, and judge them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from mlpiht_cli.analysis import tables
from mlpiht_cli.checks import thresholds
from mlpiht_cli.checks.measures import COMPARISONS, MEASURES, SHARES_OF_CELLS, Place, Sample, Scores, standard_error
from mlpiht_cli.core.metric import EXACT_DB, PERFECT_DB
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.expand import Expansion
from mlpiht_cli.specs.filters import parse_only
from mlpiht_cli.specs.schema import Claim

IN_COLUMNS = frozenset({"psnr", "accuracy"})
"""Metrics whose value stands in a second column of a row."""
KEEP_NO_BUDGET = frozenset({"dense", "feature_learning", "gradient_descent", "mlp"})
"""Methods whose networks may have more nonzeros than the budget: what their classes say, read without torch."""
COLUMNLESS = frozenset({"r2", "relative_error"})
"""Metrics whose value stands in no second column of a row."""

Verdict = Literal["holds", "fails", "incomplete", "no data", "not judged"]


@dataclass(frozen=True)
class Judged:
    """A claim, what was measured of it, and the verdict.

    Attributes
    ----------
    se
        Jackknife standard error over the seeds; None with one seed.
    interval
        Bootstrap interval over the seeds (95 %), in place of the standard error of a measure that is no mean.
    close
        Whether the threshold lies within two standard errors of what was measured, or in the interval.
    cells_used, cells
        Cells (grid points, whatever the seed) measured, and those that the claim speaks of.
    reason
        What a reader must know of the rows: left out, diverged, doctored.
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
    table = tables.placed(expansion, rows)
    return [_judge(claim, expansion, table) for claim in expansion.spec.claims]


def intact(row: Row) -> bool:
    """Whether the columns of a row bear each other out: metric and value, exact recovery, budget and nonzeros."""
    if row.status != "ok":
        return True
    if row.nnz is not None and row.nnz > row.s and row.method not in KEEP_NO_BUDGET:
        return False
    if row.psnr is not None and row.exact is not None and row.exact != (row.psnr >= EXACT_DB):
        return False
    columns = {name: getattr(row, name) for name in IN_COLUMNS}
    if row.metric in COLUMNLESS:
        return not any(column is not None for column in columns.values())
    value, column = row.value, columns.pop(row.metric, math.nan)
    if row.metric not in IN_COLUMNS or value is None or column is None:
        return row.metric in IN_COLUMNS and value is column
    return (math.isnan(value) and math.isnan(column)) or math.isclose(value, column, rel_tol=1e-9)


def score(row: Row, metric: str | None = None) -> float:
    """What a row scored, by the task's metric or another; nan where the run went wrong or has no such score.

    An infinite PSNR counts as ``PERFECT_DB``.
    """
    value = row.number(metric or row.metric)
    if row.status != "ok" or value is None or value == -math.inf:
        return math.nan
    return PERFECT_DB if value == math.inf and (metric or row.metric) == "psnr" else value


@dataclass
class _Gathered:
    """Scores of one method by place, and why places are left out."""

    scores: Scores
    cells: set[Place]
    missing: set[Place]
    skipped: set[Place]
    bad: int
    doctored: Counter[str]


def _gather(label: str, claim: Claim, expansion: Expansion, table: Mapping[tables.Place, Row]) -> _Gathered:
    """Scores of a method where the claim speaks of it; a place counts with all its rows or not at all."""
    wanted: dict[Place, list[int]] = {}
    for part in parse_only(claim.where, option="where").parts(expansion):
        for point in part.points():
            if point.label == label:
                wanted.setdefault(Place(point.panel, point.m, point.s, point.n, point.d), []).append(point.seed)
    out = _Gathered({}, set(wanted), set(), set(), 0, Counter())
    for place, seeds in wanted.items():
        at = tables.Place(place.panel, label, place.m, place.s, 0, place.n, place.d)
        rows = {seed: table.get(at._replace(seed=seed)) for seed in seeds}
        there = {seed: row for seed, row in rows.items() if row is not None}
        out.doctored.update(row.metric or "metric" for row in there.values() if not intact(row))
        if any(
            row.status == "skipped" or (row.status == "ok" and row.number(claim.metric or row.metric) is None)
            for row in there.values()
        ):
            out.skipped.add(place)  # whatever the other seeds give
        elif len(there) < len(rows):
            out.missing.add(place)
        else:
            low, high = claim.clip or (-math.inf, math.inf)
            cut = {seed: score(row, claim.metric) for seed, row in there.items()}
            out.scores[place] = {seed: v if math.isnan(v) else min(max(v, low), high) for seed, v in cut.items()}
            out.bad += sum(map(math.isnan, cut.values()))
    return out


def _judge(claim: Claim, expansion: Expansion, table: Mapping[tables.Place, Row]) -> Judged:
    sides = [_gather(claim.method, claim, expansion, table)]
    if claim.measure in COMPARISONS:
        sides.append(_gather(claim.against or "", claim, expansion, table))
    cells = set.intersection(*(side.cells for side in sides))
    used = [place for place in sides[0].scores if all(place in side.scores for side in sides)]
    sample = Sample(claim, *({place: side.scores[place] for place in used} for side in (sides[0], sides[-1])))
    found = _measured(sample, table)
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
    """What a measure gave, how sure it is, and what must be said of it."""

    value: float | None
    se: float | None = None
    interval: tuple[float, float] | None = None
    undecided: bool = False
    notes: tuple[str, ...] = ()


def _measured(sample: Sample, table: Mapping[tables.Place, Row]) -> _Measured:
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


def _threshold(claim: Claim) -> float:
    return float(claim.at_most if claim.at_least is None else claim.at_least)  # type: ignore[arg-type]


def _verdict(claim: Claim, measured: float | None) -> Verdict:
    """Verdict by the threshold alone."""
    if measured is None:
        return "no data"
    threshold = _threshold(claim)
    return "holds" if (measured >= threshold if claim.at_most is None else measured <= threshold) else "fails"


def _decided(claim: Claim, measured: float | None, used: int, missing: int) -> bool:
    """Whether a share of cells stays on its side of the threshold even if all that lack rows come out alike."""
    if measured is None or claim.measure not in SHARES_OF_CELLS:
        return False
    ends = (measured * used / (used + missing), (measured * used + missing) / (used + missing))
    return len({_verdict(claim, end) for end in ends}) == 1


def _close(claim: Claim, found: _Measured) -> bool:
    """Whether the seeds leave room for the other verdict."""
    if found.value is None:
        return False
    low, high = found.interval or (found.value - 2 * (found.se or 0.0), found.value + 2 * (found.se or 0.0))
    return low < high and low <= _threshold(claim) <= high


def _doctored(doctored: Counter[str]) -> list[str]:
    return [
        f"{number} rows whose value is not their {metric}, or contradicts their other columns"
        for metric, number in doctored.items()
    ]


def _lacking(missing: int, skipped: int, decided: bool) -> list[str]:
    said = [f"{missing} cells lack rows" + (", which cannot change the verdict" if decided else "")] if missing else []
    return said + ([f"{skipped} cells are skipped"] if skipped else [])


def _bad(claim: Claim, sides: list[_Gathered]) -> list[str]:
    said = []
    own = "counted as short of the level" if claim.measure == "slope_in_d" else "counted as the worst for the claim"
    counted = (own, "counted as lost to the other method")
    for label, side, how in zip((claim.method, claim.against), sides, counted, strict=False):
        said += [f"{side.bad} rows of {label} diverged or failed, {how}"] if side.bad else []
    return said
