"""Orthogonal matching pursuit (Pati et al. 1993, Tropp & Gilbert 2007)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from mlpiht_cli.baselines.linear.support import Data, Recovery
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method

if TYPE_CHECKING:
    from torch import Tensor

DEPENDENT = 1e-6
"""Share of a column's norm outside the span of the chosen ones below which the column adds nothing."""


class OMP(Recovery, Method):
    """Orthogonal matching pursuit for sparse linear models: one column at a time, never taken back.

    Each of the s iterations takes the column with the largest ``|a_j . r|``, r being what least squares on the columns
    so far leaves of the targets; the lowest of equals. Sources: Pati, Rezaiifar & Krishnaprasad, *Orthogonal Matching
    Pursuit*, Asilomar 1993; Tropp & Gilbert, *Signal Recovery From Random Measurements Via Orthogonal Matching
    Pursuit*, IEEE Transactions on Information Theory 53(12), 2007, Algorithm 3. As there, columns are not scaled: norms
    that differ much favour the longer ones.

    The run ends early when the residual is rounding error. A column that depends on the chosen ones is passed over.
    """

    name: ClassVar[str] = "omp"
    version: ClassVar[int] = 1

    def search(self, data: Data, s: int) -> Events:
        """Take the columns; see :meth:`Recovery.search`."""
        chosen: list[int] = []
        basis = Basis(data, min(s, *data.a.shape))
        free = torch.ones(data.d, dtype=torch.bool, device=data.y.device)
        while len(chosen) < basis.room:
            before = basis.residual
            place = self._next(data, basis, free)
            if place is None:
                break
            chosen.append(place)
            yield Step(float(before.square().mean()), float(basis.residual.sum()), True)
        support = torch.tensor(sorted(chosen), dtype=torch.int64, device=data.y.device)
        if not chosen:  # targets of zero, or no column that sees them
            yield Step(float(data.y.square().mean()), 0.0, False)
        yield data.reached(data.least_squares(support), {})

    def _next(self, data: Data, basis: Basis, free: Tensor) -> int | None:
        """Add the best free column to the basis and return its place; None if none is left or none helps."""
        size = torch.linalg.vector_norm(basis.residual)
        if float(size) <= basis.rounding:
            return None
        along = torch.where(free, data.correlations(basis.residual).abs(), 0.0)
        while float(along.max()) > 0.0:
            place = int(along.argmax())
            along[place], free[place] = 0.0, False
            if basis.add(data.columns(torch.tensor([place], device=data.y.device))[:, 0]):
                return place
        return None


class Basis:
    """An orthonormal basis of the chosen columns, and what it leaves of the targets."""

    def __init__(self, data: Data, room: int) -> None:
        self.room, self.residual = room, data.y
        self.rounding = 4.0 * torch.finfo(data.y.dtype).eps * float(torch.linalg.vector_norm(data.y))
        self._rows, self._count = data.y.new_zeros(room, len(data.y)), 0

    def add(self, column: Tensor) -> bool:
        """Add a column ``[n]`` and subtract its part from the residual; False if the column depends on the others."""
        known, new = self._rows[: self._count], column
        for _ in range(2):  # the second time removes the rounding errors of the first
            new = new - (known @ new) @ known
        size = torch.linalg.vector_norm(new)
        if float(size) <= DEPENDENT * float(torch.linalg.vector_norm(column)):
            return False
        self._rows[self._count] = new / size
        self._count += 1
        row = self._rows[self._count - 1]
        self.residual = self.residual - (row @ self.residual) * row
        return True
