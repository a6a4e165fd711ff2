"""Scores that a claim is measured on, by place and seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.specs.schema import Claim


class Place(NamedTuple):
    """A cell of a claim: one grid point, all seeds together."""

    panel: str
    m: int
    s: int
    n: int | None = None
    d: int | None = None


Scores = dict[Place, dict[int, float]]
"""Score by place and seed, cut to the limits of the claim; nan for a run that diverged or failed."""


@dataclass(frozen=True)
class Sample:
    """Scores that a claim is measured on: of its method and, where it compares, of the other method."""

    claim: Claim
    own: Scores
    other: Scores
    falling: bool = False
    """Whether less of the metric is better."""

    def without(self, seed: int) -> Sample:
        """The sample without one seed; another method with a single seed draws no numbers and keeps it."""
        yardstick = {place: by_seed for place, by_seed in self.other.items() if len(by_seed) == 1}
        return replace(self, own=_without(self.own, seed), other={**_without(self.other, seed), **yardstick})

    @property
    def seeds(self) -> set[int]:
        """Seeds of the method's scores."""
        return {seed for scores in self.own.values() for seed in scores}

    @property
    def worst(self) -> float:
        """Score of a bad run of the method: the end of the scale that is worse for the claim."""
        return self._end(high=self.claim.at_most is not None)

    @property
    def widest(self) -> float:
        """Value of a spread that includes a bad run."""
        return 0.0 if self.claim.at_most is None else self._end(high=True) - self._end(high=False)

    def mean(self, place: Place) -> float:
        """Mean of the method over the seeds."""
        return float(np.mean(filled(self.own[place], self.worst)))

    def other_mean(self, place: Place) -> float:
        """Mean of the other method over the seeds."""
        return float(np.mean(filled(self.other[place], self._end(high=False))))

    def not_worse(self, place: Place) -> bool:
        """Whether the method's mean is as good as the other's, up to the margin of the claim."""
        own, other, margin = self.mean(place), self.other_mean(place), self.claim.margin
        return own <= other + margin if self.falling else own >= other - margin

    def bad(self, *places: Place) -> bool:
        """Whether a run of the method diverged or failed at one of the places."""
        return any(math.isnan(value) for place in places for value in self.own[place].values())

    def all_scores(self) -> NDArray[np.float64]:
        """Every score of the method, one for each seed."""
        parts = [filled(scores, self.worst) for scores in self.own.values()]
        return np.concatenate(parts) if parts else np.empty(0)

    def each(self) -> list[float]:
        """Every score of the method, one for each seed; nan for a bad run."""
        return [value for scores in self.own.values() for value in scores.values()]

    def over_m(self) -> list[list[Place]]:
        """Groups of places that differ only in the width, widths ascending."""
        rows: dict[Place, list[Place]] = {}
        for place in sorted(self.own):
            rows.setdefault(place._replace(m=0), []).append(place)
        return list(rows.values())

    def _end(self, high: bool) -> float:
        low, top = self.claim.clip or (-math.inf, math.inf)
        return top if high else low


def filled(scores: dict[int, float], bad: float) -> NDArray[np.float64]:
    """Scores of the seeds, with ``bad`` in place of nan, ``[seeds]``."""
    values = np.array(list(scores.values()))
    return np.where(np.isnan(values), bad, values)


def _without(scores: Scores, seed: int) -> Scores:
    left = {place: {one: v for one, v in by_seed.items() if one != seed} for place, by_seed in scores.items()}
    return {place: by_seed for place, by_seed in left.items() if by_seed}
