"""Restricted eigenvalues from both sides: what supports show, and what is certain (P1, Lemma 1)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.theory.columns import UnitColumns
from mlpiht_cli.theory.dictionary import Examined, is_examined_in_full, near_columns, shared_columns
from mlpiht_cli.theory.supports import Search

Array = NDArray[np.float64]
Index = NDArray[np.int64]

TRIALS = 200
"""Number of random supports of a bracket."""
DRAWN = 256
"""Largest number of columns of a random support."""
_WORK = 2e11
"""Largest number of products for the Gram matrices of random supports."""


def rounding(size: int, largest: float) -> float:
    """Return the size of an eigenvalue of a Gram matrix ``[size, size]`` that rounding errors alone explain."""
    return 8.0 * size * float(np.finfo(np.float64).eps) * max(1.0, largest)


@dataclass(frozen=True)
class Bracket:
    """Bounds of ``alpha_k`` and ``beta_k``: the least and largest eigenvalue of ``G_SS`` over supports of k columns.

    Attributes
    ----------
    k
        Number of columns.
    alpha_found, beta_found
        Eigenvalues of supports that were found: alpha is at most the one, beta at least the other.
    alpha_support, beta_support
        These supports, as columns ``neuron * d + feature``, ascending.
    alpha_certified, beta_certified
        Bounds that hold for every support: alpha is at least the one (0: nothing is certain), beta at most the other.
    alpha_random, beta_random
        Least and largest eigenvalue over :data:`TRIALS` random supports, which miss the extremes; None: not drawn.
    """

    k: int
    alpha_found: float
    beta_found: float
    alpha_certified: float
    beta_certified: float
    alpha_support: Index
    beta_support: Index
    alpha_random: float | None = None
    beta_random: float | None = None

    @property
    def kappa_found(self) -> float:
        """Lower bound of ``beta_k / alpha_k``; infinite where a support has dependent columns."""
        return self.beta_found / self.alpha_found if self.alpha_found > 0 else math.inf

    @property
    def kappa_certified(self) -> float:
        """Upper bound of ``beta_k / alpha_k``; infinite where nothing is certain."""
        return self.beta_certified / self.alpha_certified if self.alpha_certified > 0 else math.inf


class Eigenvalues:
    """Brackets of the restricted eigenvalues of a dictionary of unit columns.

    A dictionary of at most 3000 columns (fewer with many samples) is examined in full. Of a larger one two parts are:
    columns of neurons with near patterns, for alpha, and columns of features that neurons share, for beta. What is
    found there bounds the whole dictionary; nothing is then certain of it but ``beta_k <= k``.
    """

    def __init__(self, columns: UnitColumns, generator: np.random.Generator) -> None:
        self.columns, self._generator = columns, generator
        self._known: dict[int, Bracket] = {}

    @property
    def size(self) -> int:
        """Number of columns that are not zero."""
        return len(self.columns.index)

    @cached_property
    def complete(self) -> bool:
        """Whether all columns are examined together."""
        return is_examined_in_full(self.columns)

    @cached_property
    def _near(self) -> Examined:
        index = self.columns.index if self.complete else near_columns(self.columns)
        return Examined.of(self.columns, index)

    @cached_property
    def _shared(self) -> Examined:
        return self._near if self.complete else Examined.of(self.columns, shared_columns(self.columns))

    @cached_property
    def _low(self) -> Search:
        return Search(self._near.gram, *np.divmod(self._near.index, self.columns.d))

    @cached_property
    def _high(self) -> Search:
        return Search(-self._shared.gram, *np.divmod(self._shared.index, self.columns.d))

    @cached_property
    def spectrum(self) -> Array | None:
        """Eigenvalues of the Gram matrix of all columns, ascending; None if they are too many."""
        return np.asarray(np.linalg.eigvalsh(self._near.gram), dtype=np.float64) if self.complete else None

    @property
    def rank(self) -> int | None:
        """Number of independent columns; None if they are too many to tell."""
        if self.spectrum is None:
            return None
        return int((self.spectrum > rounding(self.size, float(self.spectrum[-1]))).sum())

    @property
    def coherence(self) -> float:
        """Largest inner product of two different unit columns among those examined, in size; 0 for one column."""
        parts = {id(part): part for part in (self._near, self._shared)}
        return max(part.babel(1) for part in parts.values())

    def brackets(self, sizes: Iterable[int]) -> list[Bracket]:
        """Return a bracket for each number of columns, ascending; larger numbers than there are columns become that.

        A support that is found at one size bounds all larger sizes, so the bounds are monotone.
        """
        wanted = sorted({min(k, self.size) for k in sizes if k > 0})
        for k in wanted:
            if k not in self._known:
                self._known[k] = self._bracket(k)
        known = [self._known[k] for k in sorted(self._known)]
        for before, after in pairwise(known):
            self._known[after.k] = self._carried(self._known[before.k], self._known[after.k])
        return [self._known[k] for k in wanted]

    def bracket(self, k: int) -> Bracket:
        """Return the bracket of one number of columns."""
        return self.brackets([k])[0]

    def _bracket(self, k: int) -> Bracket:
        low, high = self._low.least(min(k, len(self._near.index))), self._high.least(min(k, len(self._shared.index)))
        noise = rounding(k, -high.value)
        lower, upper = self._certified(k)
        random = self._random(k)
        return Bracket(
            k,
            low.value if low.value > noise else 0.0,
            -high.value,
            lower,
            upper,
            self._near.index[low.index],
            self._shared.index[high.index],
            *random,
        )

    def _carried(self, smaller: Bracket, larger: Bracket) -> Bracket:
        """Return the larger bracket with the supports of the smaller one where they show more."""
        if smaller.alpha_found < larger.alpha_found:
            more = {"alpha_found": smaller.alpha_found, "alpha_support": smaller.alpha_support}
            larger = replace(larger, **more)  # type: ignore[arg-type]
        if smaller.beta_found > larger.beta_found:
            more = {"beta_found": smaller.beta_found, "beta_support": smaller.beta_support}
            larger = replace(larger, **more)  # type: ignore[arg-type]
        return larger

    def _certified(self, k: int) -> tuple[float, float]:
        """Bounds that hold for every support: the whole spectrum, sums of inner products (babel), and the trace."""
        if k == 1:
            return 1.0, 1.0
        if self.spectrum is None:
            return 0.0, float(k)
        noise, sums = rounding(self.size, float(self.spectrum[-1])), self._near.babel(k - 1)
        lower = max(0.0, float(self.spectrum[0]) - noise, 1.0 - sums - noise)
        return lower, min(float(self.spectrum[-1]) + noise, 1.0 + sums + noise, float(k))

    def _random(self, k: int) -> tuple[float | None, float | None]:
        """Extremes over random supports of all columns; None where their Gram matrices are too much work."""
        n = self.columns.features.shape[1]
        if k == self.size and self.spectrum is not None:
            return max(0.0, float(self.spectrum[0])), float(self.spectrum[-1])
        if k > DRAWN or (not self.complete and TRIALS * k * k * n > _WORK):
            return None, None
        least, most = math.inf, -math.inf
        for _ in range(TRIALS):
            chosen = np.sort(self._generator.choice(self.size, k, replace=False))
            part = self._near.part(chosen) if self.complete else self.columns.gram(self.columns.index[chosen])
            values = np.linalg.eigvalsh(part)
            least, most = min(least, float(values[0])), max(most, float(values[-1]))
        return max(0.0, least), most
