"""Second-layer neurons written otherwise: other neurons of the first layer that give the same function.

Neurons ``relu(w)`` and ``relu(-w)`` lie on one line. With weights a and b they are ``(kink |w| + slope w) / 2``, ``kink
= a + b`` and ``slope = a - b``. The kink of each line and the sum of all ``slope w`` make the function. A second-layer
neuron without positive kinks is ``relu(L - c)``, L linear and c a sum of ReLUs. It is ``relu(relu(L) - c)`` too, so
that there the sum of slopes may be any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.solvers.realloc_deep.network import Deep

Floats = NDArray[np.float64]
ONE_LINE = 0.9999  # absolute cosine above which two neurons lie on one line
CANCELS = 1e-3  # share of the largest term below which a sum counts as 0


@dataclass(frozen=True)
class Lines:
    """What a second-layer neuron sums up: unit directions ``[l, d]``, and weights on both of their sides, ``[l]``."""

    units: Floats
    right: Floats
    left: Floats

    @classmethod
    def of(cls, rows: Floats, weights: Floats) -> Lines:
        """Put neurons of the first layer, ``[b, d]``, with weights ``[b]`` on their lines."""
        size = np.linalg.norm(rows, axis=1)
        units, sums = rows / size[:, None], weights * size
        cosines = units @ units.T
        first = (np.abs(cosines) > ONE_LINE).argmax(1)  # of each neuron, the first on its line
        is_right = cosines[np.arange(len(rows)), first] > 0.0
        sides = np.zeros((2, len(rows)))
        np.add.at(sides, (np.where(is_right, 0, 1), first), sums)
        kept = np.unique(first)
        return cls(units[kept], *sides[:, kept])

    @property
    def kinks(self) -> Floats:
        """Sums of both weights, ``[l]``."""
        return _cancelled(self.right + self.left, np.maximum(np.abs(self.right), np.abs(self.left)))

    def neurons(self) -> tuple[Floats, Floats]:
        """Return neurons of the first layer and their weights."""
        rows, weights = np.concatenate([self.units, -self.units]), np.concatenate([self.right, self.left])
        return rows[weights != 0.0], weights[weights != 0.0]


def rewritten(net: Deep) -> Iterator[Deep]:
    """Yield networks of the same function, up to sums that nearly cancel, that have one second-layer neuron otherwise.

    Its neurons of the first layer are new and come last; those that they replace stay where others use them.
    """
    first, second = net.first.cpu().numpy(), net.second.cpu().numpy()
    for k, row in enumerate(second):
        rows, weights = first[row != 0.0], row[row != 0.0]
        for fresh, values in _others(rows, weights):
            wide, count = net.second.new_zeros(len(second), len(fresh)), len(first)
            wide = torch.cat([net.second, wide], 1)
            wide[k, :count], wide[k, count:] = 0.0, torch.from_numpy(values).to(wide.device)
            every = torch.cat([net.first, torch.from_numpy(fresh).to(wide.device)])
            yield Deep(every, wide, torch.cat([net.direct, net.direct.new_zeros(len(fresh))])).tidied()


def _others(rows: Floats, weights: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield neurons of the first layer and weights that give the same second-layer neuron."""
    lines, positive = Lines.of(rows, weights), weights > 0.0
    if positive.sum() == 1:
        yield from _of_one_gate(weights[positive] @ rows[positive], Lines.of(rows[~positive], weights[~positive]))
    elif (lines.kinks <= 0.0).all():
        yield from _of_one_gate(np.zeros(rows.shape[1]), lines)
    if len(lines.units) < len(weights):
        found = _sparse_slopes(lines)
        if found is not None:
            yield found.neurons()


def _of_one_gate(linear: Floats, lines: Lines) -> Iterator[tuple[Floats, Floats]]:
    """Yield ``relu(L) - c`` for a linear part and lines without positive kinks, and the same with one line turned."""
    kinks, is_right = lines.kinks, np.abs(lines.left) <= np.abs(lines.right)
    for turn in range(-1, len(kinks)):
        side = is_right ^ (np.arange(len(kinks)) == turn)
        slopes = np.where(side, -lines.left, lines.right)[:, None] * lines.units  # a relu(w) + b relu(-w) less its kink
        terms = np.concatenate([linear[None], slopes])
        gate = _cancelled(terms.sum(0), np.abs(terms).max(0))
        rest, weights = Lines(lines.units, np.where(side, kinks, 0.0), np.where(side, 0.0, kinks)).neurons()
        if gate.any():
            yield np.concatenate([gate[None], rest]), np.concatenate([[1.0], weights])


def _sparse_slopes(lines: Lines) -> Lines | None:
    """Return the lines with slopes of the least sum beyond their kinks, if the directions are linearly dependent.

    A line whose slope is as large as its kink, with any sign, takes one neuron, and one without both none.
    """
    from scipy.optimize import linprog

    base, size, _ = np.linalg.svd(lines.units)
    free = base[:, int((size > CANCELS).sum()) :]
    if not free.shape[1]:
        return None
    kinks, slopes = lines.kinks, lines.right - lines.left
    count, move = len(kinks), free.shape[1]
    weight = np.concatenate([np.zeros(move), np.ones(count)])
    above = np.concatenate([np.concatenate([sign * free, -np.eye(count)], 1) for sign in (1.0, -1.0)])
    bounds = [(None, None)] * move + [(one, None) for one in np.abs(kinks)]
    found = linprog(weight, A_ub=above, b_ub=np.concatenate([-slopes, slopes]), bounds=bounds, method="highs")
    if found.x is None:
        return None
    slopes = slopes + free @ found.x[:move]
    most = np.maximum(np.abs(kinks), np.abs(slopes)).max()
    right, left = (_cancelled((kinks + sign * slopes) / 2.0, most) for sign in (1.0, -1.0))
    return Lines(lines.units, right, left)


def _cancelled(sums: Floats, sizes: Floats | float) -> Floats:
    """Return sums, 0 where they are small next to ``sizes``."""
    return np.where(np.abs(sums) > CANCELS * sizes, sums, 0.0)
