"""Signs that single inputs tell: few neurons meet on an input, and few of their sums are what is left there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST = 16
"""Largest number of open neurons on an input all of whose patterns are tried."""
CHANCE = 0.02
"""Expected number of patterns that fit by chance, above which an input tells nothing."""


@dataclass(frozen=True)
class Inputs:
    """What is left of a skip connection on each input if neurons flip, and what it should be.

    On an input without one-sparse neurons nothing may be left; on one with a one-sparse neuron, nothing or what that
    neuron takes along when it flips itself. With one-sparse neurons of both directions anything between the two is
    possible, so that such an input tells nothing, and no pattern fits it but by chance.

    Attributes
    ----------
    rows
        What each neuron adds when it flips, ``[b, d]``.
    skip
        The skip connection, ``[d]``.
    single
        What the one-sparse neuron on each input adds when it flips, 0 where there is none, ``[d]``.
    least
        Size up to which a rest counts as zero, ``[d]``.
    """

    rows: Floats
    skip: Floats
    single: Floats
    least: Floats

    def told(self) -> Flags:
        """Return which neurons to flip, bool ``[b]``; of some nothing is told, and they are not flipped.

        All patterns of the neurons on one input are tried, the input with the fewest open neurons first. Neurons that
        are the same in all patterns that fit are known from then on, which leaves the other inputs fewer.
        """
        b, d = self.rows.shape
        turn, known, on = np.zeros(b, dtype=bool), np.zeros(b, dtype=bool), self.rows != 0.0
        tried = np.zeros(d, dtype=int)  # open neurons when an input was last tried
        while True:
            count = (on & ~known[:, None]).sum(0)
            waiting = np.flatnonzero((count > 0) & (count != tried))
            if not len(waiting):
                break
            a = int(waiting[count[waiting].argmin()])
            tried[a], here = count[a], np.flatnonzero(on[:, a] & ~known)
            agreed, pattern = self._agreed(a, here, float(self.skip[a] + self.rows[turn, a].sum()))
            turn[here[agreed]] = pattern[agreed]
            known[here[agreed]] = True
        return turn

    def _agreed(self, a: int, here: NDArray[np.intp], left: float) -> tuple[Flags, Flags]:
        """Return which neurons ``here`` flip alike in all patterns that fit input ``a``, and one such pattern."""
        values, none = self.rows[here, a], np.zeros(len(here), dtype=bool)
        wanted = [0.0, -float(self.single[a])][: 1 + (self.single[a] != 0.0)]
        reach = float(np.abs(values).sum())
        expected = 2.0 ** len(here) * len(wanted) * 4.0 * self.least[a] / max(reach, 1e-300)
        if len(here) > MOST or expected > CHANCE:
            return none, none
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums, sums + value])
        fits = np.flatnonzero(np.min([np.abs(left + sums - goal) for goal in wanted], axis=0) <= self.least[a])
        if not len(fits):
            return none, none
        flips = ((fits[:, None] >> np.arange(len(here))) & 1).astype(bool)
        return (flips == flips[0]).all(0), flips[0]
