"""Samples that a method needs, their growth with the dimension, and the uncertainty of both.

The intervals are bootstrap intervals over the seeds (percentiles): each draw takes seeds with replacement, the same
ones for every curve, and repeats the computation. The draws come from a generator with a constant seed of its own, not
from the named streams: they make no results, and the same table gives the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
CONFIDENCE = 0.95
SEED = 0


def threshold(xs: Sequence[float], scores: NDArray[np.float64], level: float, rising: bool = True) -> float | None:
    """Least x from which on the median over the seeds stays at or beyond a level.

    Parameters
    ----------
    xs
        Positive, ascending.
    scores
        ``[len(xs), seeds]``; nan is infinitely far from the level.
    rising
        Whether a score beyond the level is above it.

    Returns
    -------
    Interpolated in log x between two grid points; ``xs[0]`` where every median reaches the level, so that the least x
    may be smaller; None where the last median misses the level.
    """
    sign = 1.0 if rising else -1.0
    reached = np.median(np.where(np.isnan(scores), -np.inf, sign * scores), axis=1) - sign * level
    below = np.flatnonzero(reached < 0)
    if not below.size:
        return float(xs[0])
    last = int(below[-1])
    if last == len(xs) - 1:
        return None
    low, high = reached[last], reached[last + 1]
    share = -low / (high - low) if math.isfinite(low) and math.isfinite(high) else 1.0
    return float(xs[last] * (xs[last + 1] / xs[last]) ** share)


def slope(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Least-squares slope of log y against log x; None with fewer than two different x."""
    if len(set(xs)) < 2:
        return None
    x, y = np.log(np.asarray(xs, dtype=float)), np.log(np.asarray(ys, dtype=float))
    x -= x.mean()
    return float(x @ y / (x @ x))


@dataclass(frozen=True)
class Curve:
    """Scores of a method at one dimension ``d`` over the sample sizes ``n`` (ascending): ``[len(n), seeds]``."""

    d: float
    n: tuple[float, ...]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """Curves of a method, and the level of success; more is better if ``rising``, else less."""

    curves: tuple[Curve, ...]
    level: float
    rising: bool = True

    def threshold(self, curve: Curve) -> float:
        """Samples that a curve needs (n*): inf if they are more than its largest n."""
        found = threshold(curve.n, curve.scores, self.level, self.rising)
        return math.inf if found is None else found

    def censored(self, curve: Curve) -> bool:
        """Whether n* lies outside the grid of the curve."""
        found = self.threshold(curve)
        return math.isinf(found) or found == curve.n[0]

    def slope(self) -> float | None:
        """Slope of log n* against log d over the curves with n* inside their grids; None with fewer than two."""
        kept = [curve for curve in self.curves if not self.censored(curve)]
        return slope([curve.d for curve in kept], [self.threshold(curve) for curve in kept])

    def threshold_interval(self, curve: Curve) -> tuple[float, float] | None:
        """Bootstrap interval of a threshold; its upper end may be inf."""
        return self._interval([curve], lambda drawn: drawn.threshold(drawn.curves[0]))

    def slope_interval(self) -> tuple[float, float] | None:
        """Bootstrap interval of the slope, over the curves that the slope is fitted to."""
        return self._interval([curve for curve in self.curves if not self.censored(curve)], Scaling._plain_slope)

    def _plain_slope(self) -> float | None:
        """Slope of a draw, with n* at the ends of the grids included: every draw keeps every curve."""
        tops = [(curve.d, min(self.threshold(curve), curve.n[-1])) for curve in self.curves]
        return slope(*zip(*tops, strict=True)) if tops else None

    def _interval(
        self, curves: Sequence[Curve], statistic: Callable[[Scaling], float | None]
    ) -> tuple[float, float] | None:
        seeds = max((curve.scores.shape[1] for curve in curves), default=0)
        if seeds < 2:
            return None
        drawn = seed_draws(seeds)
        found = [statistic(replace(self, curves=tuple(_resampled(curve, row) for curve in curves))) for row in drawn]
        values = np.sort([value for value in found if value is not None])
        if not values.size:
            return None
        # Quantiles are draws, not interpolated between draws, because some may be infinite.
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
        return float(low), float(high)


def seed_draws(seeds: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) that draw seeds with replacement, ``[DRAWS, seeds]``; the same at every call."""
    return np.random.default_rng(SEED).random((DRAWS, seeds))


def _resampled(curve: Curve, uniform: NDArray[np.float64]) -> Curve:
    """The curve with seeds drawn with replacement by numbers in [0, 1); curves of equal seeds draw the same ones."""
    seeds = curve.scores.shape[1]
    return replace(curve, scores=curve.scores[:, (uniform[:seeds] * seeds).astype(int)])


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share ``hits / total`` (Wilson 1927); [0, 1] for a total of 0."""
    if not total:
        return 0.0, 1.0
    z, share = 1.959963984540054, hits / total
    centre, scale = share + z * z / (2 * total), 1 + z * z / total
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # No hits or only hits: 0 and 1 without rounding.
    return (centre - half) / scale if hits else 0.0, (centre + half) / scale if hits < total else 1.0
