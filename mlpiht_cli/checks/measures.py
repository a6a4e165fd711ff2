"""Measures of claims: a sample of scores to one number.

Divergence never favours a method: a row of ``method`` that diverged or failed counts as the worst for the claim, and
such a row of ``against`` counts as the worst possible score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.checks.sample import Place, Sample, filled

MIN_WIDTHS = 3
"""Least number of widths for a rank correlation: with two it is always -1 or 1."""


def share_not_worse(sample: Sample) -> float | None:
    """Share of the places where the method is not worse: ``#{p: a_p >= b_p - margin} / #{p}``.

    Where less of the metric is better, ``a_p <= b_p + margin``.
    """

    def won(place: Place) -> bool:
        if sample.bad(place):
            return sample.claim.at_most is not None
        if any(math.isnan(value) for value in sample.other[place].values()):
            return True
        return sample.not_worse(place)

    return _mean([float(won(place)) for place in sample.own], math.nan)


def mean_difference(sample: Sample) -> float | None:
    """Mean over the places of the method's mean minus the other's: ``sum_p (a_p - b_p) / #{p}``.

    It is negative for the better method where less of the metric is better.
    """

    def difference(place: Place) -> float:
        own = sample.mean(place)
        return own if math.isinf(own) else own - sample.other_mean(place)

    return _mean([difference(place) for place in sample.own], sample.worst)


def spread_over_m(sample: Sample) -> float | None:
    """Spread over the widths, averaged over the budgets: ``mean over s of (max over m of a - min over m of a)``."""
    return _mean(_spreads(sample), sample.widest)


def worst_spread_over_m(sample: Sample) -> float | None:
    """Largest spread over the widths at any budget: ``max over s of (max over m of a - min over m of a)``."""
    return max(_spreads(sample), default=None)


def _spreads(sample: Sample) -> list[float]:
    spreads = []
    for places in sample.over_m():
        if len(places) > 1:  # the spread of one width would be 0
            means = [sample.mean(place) for place in places]
            spreads.append(sample.widest if sample.bad(*places) else max(means) - min(means))
    return spreads


def rank_correlation_m(sample: Sample) -> float | None:
    """Spearman correlation of the mean with the width at a fixed budget, averaged over the budgets that have one.

    ``mean over s of corr(rank of a over m, rank of m)``, over budgets with three widths or more and means that differ.
    """
    found = []
    for places in sample.over_m():
        means = np.array([sample.mean(place) for place in places])
        if len(places) >= MIN_WIDTHS and sample.bad(*places):
            found.append(-1.0 if sample.claim.at_most is None else 1.0)
        elif len(places) >= MIN_WIDTHS and np.ptp(means) > 0:
            found.append(float(np.corrcoef(_ranks(means), np.arange(len(means)))[0, 1]))
    return _mean(found, math.nan)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of their ranks."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(middle[where], dtype=np.float64)


def mean(sample: Sample) -> float | None:
    """Mean of all scores, every seed of every place: ``sum_i x_i / #{i}``."""
    return _mean(list(sample.all_scores()), sample.worst)


def median(sample: Sample) -> float | None:
    """Median of all scores, every seed of every place: ``median_i x_i``."""
    scores = sample.all_scores()
    return float(np.median(scores)) if scores.size else None


def least(sample: Sample) -> float | None:
    """Least of all scores, every seed of every place: ``min_i x_i``."""
    return min(map(float, sample.all_scores()), default=None)


def largest(sample: Sample) -> float | None:
    """Largest of all scores, every seed of every place: ``max_i x_i``."""
    return max(map(float, sample.all_scores()), default=None)


def largest_distance(sample: Sample) -> float | None:
    """Largest distance of a score from 0, with ``minus`` of two scores of one row: ``max_i |x_i|``."""
    bad = 0.0 if sample.claim.at_most is None else math.inf
    return max((bad if math.isnan(value) else abs(value) for value in sample.each()), default=None)


def share_above(sample: Sample) -> float | None:
    """Share of all scores at or above the level, even where less is better: ``#{i: x_i >= level} / #{i}``."""
    level = math.nan if sample.claim.level is None else sample.claim.level
    return _mean([float(value >= level) for value in sample.all_scores()], math.nan)


def share_below(sample: Sample) -> float | None:
    """Share of all scores at or below the level, even where more is better: ``#{i: x_i <= level} / #{i}``."""
    level = math.nan if sample.claim.level is None else sample.claim.level
    return _mean([_counted(value, value <= level, sample) for value in sample.each()], math.nan)


def share_saying(sample: Sample) -> float | None:
    """Share of rows whose measure is the word of the claim: ``#{i: x_i = word} / #{i}``."""
    return _mean([_counted(value, value == 1.0, sample) for value in sample.each()], math.nan)


def _counted(value: float, hit: bool, sample: Sample) -> float:
    """1 or 0; a bad run counts as what is worse for the claim."""
    return float(sample.claim.at_most is not None if math.isnan(value) else hit)


def share_within(sample: Sample) -> float | None:
    """Share of scores (losses, errors) close to the other's mean: ``#{i: x_i <= b_p(i) + margin} / #{i}``."""
    return _mean([value for values in _within(sample).values() for value in values], math.nan)


def share_best_within(sample: Sample) -> float | None:
    """Share of places whose least score is close to the other's: ``#{p: min x_p <= b_p + margin} / #{p}``."""
    return _mean([max(values) for values in _within(sample).values()], math.nan)


def least_rise_within(sample: Sample) -> float | None:
    """Least rise of :func:`share_within` from one budget to the next; negative if it falls anywhere.

    ``min over s of (share_within at the next budget - share_within at s)``
    """
    by_budget: dict[int, list[float]] = {}
    for place, values in sorted(_within(sample).items(), key=lambda pair: pair[0].s):
        by_budget.setdefault(place.s, []).extend(values)
    if len(by_budget) > 1 and sample.bad(*sample.own):
        return -1.0 if sample.claim.at_most is None else 1.0
    return min((float(np.mean(b) - np.mean(a)) for a, b in pairwise(by_budget.values())), default=None)


def _within(sample: Sample) -> dict[Place, list[float]]:
    """For each score 1 if it is at most the mean of the other method there plus the margin, else 0."""
    bad = float(sample.claim.at_most is not None)
    found = {}
    for place, scores in sample.own.items():
        bar = float(np.mean(filled(sample.other[place], math.inf))) + sample.claim.margin
        found[place] = [bad if math.isnan(value) else float(value <= bar) for value in scores.values()]
    return found


def least_rise(sample: Sample) -> float | None:
    """Least rise of the mean from one budget to the next, panel and width fixed; negative if it falls anywhere.

    ``min over panels, m and s of (a at the next budget - a at s)``
    """
    rows: dict[tuple[str, int], list[Place]] = {}
    for place in sorted(sample.own, key=lambda place: place.s):
        rows.setdefault((place.panel, place.m), []).append(place)
    rises = [
        sample.worst if sample.bad(a, b) else sample.mean(b) - sample.mean(a)
        for places in rows.values()
        for a, b in pairwise(places)
    ]
    return min(rises, default=None)


def largest_excess(sample: Sample) -> float | None:
    """Largest score of the method minus the other's least at the same place: ``max_p (max x_p - min y_p)``."""

    def excess(place: Place) -> float:
        if sample.bad(place):
            return sample.worst
        return max(sample.own[place].values()) - float(np.min(filled(sample.other[place], math.inf)))

    return max(map(excess, sample.own), default=None)


Measure = Callable[[Sample], float | None]

MEASURES: dict[str, Measure] = {
    "share_not_worse": share_not_worse,
    "mean_difference": mean_difference,
    "spread_over_m": spread_over_m,
    "worst_spread_over_m": worst_spread_over_m,
    "rank_correlation_m": rank_correlation_m,
    "median": median,
    "mean": mean,
    "least": least,
    "largest": largest,
    "largest_distance": largest_distance,
    "share_above": share_above,
    "share_below": share_below,
    "share_saying": share_saying,
    "share_within": share_within,
    "share_best_within": share_best_within,
    "least_rise_within": least_rise_within,
    "least_rise": least_rise,
    "largest_excess": largest_excess,
}
COMPARISONS = frozenset(
    {"share_not_worse", "mean_difference", "share_within", "share_best_within", "least_rise_within", "largest_excess"}
)
"""Measures that need ``against``."""
NEED_LEVEL = frozenset({"share_above", "share_below"})
NEED_WORD = frozenset({"share_saying"})
"""Measures of a metric that is a word."""
SHARES_OF_CELLS = frozenset({"share_not_worse", "share_best_within"})
"""Measures that are means of a 0 or 1 for each cell."""


def standard_error(measure: Measure, sample: Sample) -> float | None:
    """Jackknife over the seeds, leaving out one at a time; None with one seed or an undefined or infinite measure."""
    found = [measure(sample.without(seed)) for seed in sorted(sample.seeds)]
    values = [value for value in found if value is not None and math.isfinite(value)]
    if len(values) < max(2, len(found)):
        return None
    return math.sqrt((len(values) - 1) * float(np.var(values)))


def _mean(values: list[float], worst: float) -> float | None:
    """Mean of the values; an infinite ``worst`` if it is among them, even with infinities of the other sign."""
    if not values:
        return None
    return worst if math.isinf(worst) and worst in values else float(np.mean(values))
