"""Ranks of methods over many runs, and which of their means differ.

J. Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7 (2006), section 3.2.2: the Friedman
test of equal ranks, then Nemenyi's critical difference of two mean ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.analysis.scaling import CONFIDENCE, seed_draws

ALPHA = 0.05
"""Level of the tests."""


def critical_difference(methods: int, blocks: int, alpha: float = ALPHA) -> float:
    """Least difference of two mean ranks that is significant, ``q sqrt(k (k + 1) / (6 N))`` of k methods on N blocks.

    ``q`` is the quantile of the studentized range of k numbers with infinite degrees of freedom, over the root of 2.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))


@dataclass(frozen=True)
class Ranks:
    """Ranks of methods within blocks, from 1 for the best; equal scores share the mean of their ranks.

    Attributes
    ----------
    methods
        Labels.
    scores
        Shape ``[blocks, methods]``, more is better; -inf for a run without a score, which ranks last.
    seeds
        Seed of each block, ``[blocks]``.
    """

    methods: tuple[str, ...]
    scores: NDArray[np.float64]
    seeds: tuple[int, ...]

    @cached_property
    def ranks(self) -> NDArray[np.float64]:
        """Ranks ``[blocks, methods]``."""
        from scipy.stats import rankdata

        return np.asarray(rankdata(-self.scores, axis=1), dtype=np.float64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean rank of each method."""
        return np.asarray(self.ranks.mean(axis=0))

    @property
    def order(self) -> list[int]:
        """Methods from the best mean rank on; of equal ones the first stays first."""
        return [int(i) for i in np.argsort(self.mean, kind="stable")]

    @cached_property
    def intervals(self) -> NDArray[np.float64] | None:
        """Bootstrap intervals (95 %) of the mean ranks, ``[methods, 2]``; None with one seed.

        Each draw takes seeds with replacement, with all their blocks: what a seed gives in several cells is not
        independent.
        """
        known = sorted(set(self.seeds))
        if len(known) < 2:
            return None
        of_seed = np.array([np.array(self.seeds) == seed for seed in known], dtype=np.float64)
        total, count = of_seed @ self.ranks, of_seed.sum(axis=1)
        drawn = (seed_draws(len(known)) * len(known)).astype(int)
        means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)[:, None]
        tail = (1 - CONFIDENCE) / 2
        return np.asarray(np.quantile(means, [tail, 1 - tail], axis=0).T)

    @cached_property
    def p_value(self) -> float | None:
        """Probability of ranks as unequal as these if all methods were alike, by Friedman's test with ties counted.

        None where the test is not defined: fewer than three methods or two blocks. 1 where all scores are equal.
        """
        from scipy.stats import friedmanchisquare

        if len(self.methods) < 3 or len(self.scores) < 2:
            return None
        if (self.ranks == self.ranks[:, :1]).all():
            return 1.0
        return float(friedmanchisquare(*self.ranks.T).pvalue)

    @property
    def difference(self) -> float:
        """Nemenyi's critical difference."""
        return critical_difference(len(self.methods), len(self.scores))

    @property
    def groups(self) -> list[list[int]]:
        """Largest groups, in the order of ranks, of which no two differ significantly.

        One group of all where Friedman's test finds no difference; a method that differs from every other is in none.
        """
        order, mean = self.order, self.mean
        if self.p_value is None or self.p_value >= ALPHA:
            return [order]
        spans: list[list[int]] = []
        for i in range(len(order)):
            last = max(j for j in range(i, len(order)) if j == i or mean[order[j]] - mean[order[i]] < self.difference)
            span = order[i : last + 1]
            if len(span) > 1 and not (spans and spans[-1][-1] == span[-1]):
                spans.append(span)
        return spans
