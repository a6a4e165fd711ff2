"""Measures of the samples that a method needs (n*), and of their growth with the dimension.

:mod:`mlpiht_cli.analysis.scaling` computes them. A curve is a panel, m, s and d over all n of the claim. n* is censored
where it lies outside that grid: then only a bound is known, and a slope leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from mlpiht_cli.analysis.scaling import Curve, Scaling
from mlpiht_cli.checks.measures import Measure
from mlpiht_cli.checks.sample import Place, Sample, Scores
from mlpiht_cli.records.rows import Row


def threshold_n(sample: Sample) -> float | None:
    """Least n from which on the median stays beyond the level, at one d; inf if above the largest n.

    ``n* = min {n: median over the seeds of x >= level at this n and all larger ones}`` (``<=`` with ``falling``),
    interpolated in log n between the last n that misses the level and the next one.
    """
    law = _law(sample)
    return law.threshold(law.curves[0]) if len(law.curves) == 1 else None


def slope_in_d(sample: Sample) -> float | None:
    """Slope of log n* against log d, over the d whose n* is inside the grid.

    The b of the least-squares fit ``log n* = a + b log d``, so that samples grow as ``d^b``; n* as in
    :func:`threshold_n`.
    """
    return _law(sample).slope()


THRESHOLDS: dict[str, Measure] = {"threshold_n": threshold_n, "slope_in_d": slope_in_d}


def interval(sample: Sample) -> tuple[float, float] | None:
    """Bootstrap interval of the measure over the seeds, 95 %."""
    law = _law(sample)
    if sample.claim.measure == "slope_in_d":
        return law.slope_interval()
    return law.threshold_interval(law.curves[0]) if len(law.curves) == 1 else None


def open_question(sample: Sample) -> bool:
    """Whether a censored n* may be on either side of the threshold of the claim."""
    law, claim = _law(sample), sample.claim
    censored = [curve for curve in law.curves if law.censored(curve)]
    if claim.measure == "slope_in_d" or not censored:
        return bool(censored)
    curve = censored[0]
    if math.isinf(law.threshold(curve)):  # n* is above the largest n
        return curve.n[-1] < (claim.at_most if claim.at_least is None else claim.at_least)  # type: ignore[operator]
    if claim.at_least is None:  # n* is the least n or below
        return curve.n[0] > claim.at_most  # type: ignore[operator]
    return curve.n[0] >= claim.at_least


def notes(sample: Sample) -> list[str]:
    """Sentences that name the d with a censored n*."""
    law = _law(sample)
    above = [curve for curve in law.curves if math.isinf(law.threshold(curve))]
    below = [curve for curve in law.curves if law.censored(curve) and curve not in above]
    said = [("above the largest n", above, -1), ("the least n or below", below, 0)]
    return [
        f"n* is {words} at {', '.join(f'd = {curve.d:g} ({curve.n[end]:g})' for curve in found)}"
        for words, found, end in said
        if found
    ]


def with_dimension(scores: Scores, rows: Iterable[Row]) -> Scores:
    """Scores under places that name d even if their panel does not vary it; the rows tell the d of a panel."""
    known = {row.panel: row.d for row in rows if row.d is not None}
    return {place._replace(d=place.d or known.get(place.panel)): by_seed for place, by_seed in scores.items()}


def _law(sample: Sample) -> Scaling:
    """Curves of a sample, d ascending."""
    found: dict[Place, list[Place]] = {}
    for place in sorted(sample.own, key=lambda place: (place.panel, place.d or 0, place.m, place.s, place.n or 0)):
        if place.n is not None and place.d is not None:
            found.setdefault(place._replace(n=None), []).append(place)
    curves = [_curve(sample, places) for places in found.values()]
    level = math.nan if sample.claim.level is None else sample.claim.level
    return Scaling(tuple(sorted(curves, key=lambda curve: curve.d)), level, not sample.falling)


def _curve(sample: Sample, places: list[Place]) -> Curve:
    """Scores over n; a bad run misses the level, or reaches it where that is worse for the claim."""
    claim = sample.claim
    seeds = sorted(set.intersection(*(set(sample.own[place]) for place in places)))
    scores = np.array([[sample.own[place][seed] for seed in seeds] for place in places])
    if claim.measure == "threshold_n" and claim.at_least is not None:
        scores = np.where(np.isnan(scores), -math.inf if sample.falling else math.inf, scores)
    return Curve(float(places[0].d or 0), tuple(float(place.n or 0) for place in places), scores)


def grid_fault(measure: str, places: Iterable[Place]) -> str | None:
    """Say why a measure of thresholds is impossible at these places; None if it is possible."""
    curves: dict[Place, set[int | None]] = {}
    for place in places:
        curves.setdefault(place._replace(n=None), set()).add(place.n)
    if any(len(found) < 2 for found in curves.values()):
        return f"{measure} needs panels that vary n, and two n or more of them"
    if measure == "threshold_n" and len(curves) > 1:
        return f"threshold_n is of one panel, m, s and d, not of {len(curves)}; narrow where"
    return "slope_in_d needs two d or more" if measure == "slope_in_d" and len(curves) < 2 else None
