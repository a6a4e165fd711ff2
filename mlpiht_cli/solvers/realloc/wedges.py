"""Differences of nearly equal columns: a neuron with one dominant weight, and the one-sparse neuron on its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.solvers.realloc.blocks import Blocks

DOMINANT = 0.9
"""Share of a neuron's norm above which its largest weight is dominant."""


@dataclass(frozen=True)
class Wedges:
    """Pairs of a dominant weight and a one-sparse neuron on the same input.

    The columns ``x_a 1[w . x > 0]`` and ``x_a 1[x_a > 0]`` are equal for all samples that are not in the wedge between
    two gates. The curvature that tells how much of the weight belongs to which neuron is the sum of ``x_a^2`` over the
    wedge, often a billionth of the diagonal: less than the rounding errors of a float32 product of the columns, and
    less than any damping relative to them. So the difference of the columns takes the place of the first: it is zero
    outside the wedge, without rounding errors, and has a diagonal of its own. If the gates are opposite, the first
    column plus the second minus ``x_a`` is such a difference, where there is a skip connection.

    Attributes
    ----------
    first, second
        Positions of the dominant weights and of the one-sparse neurons' weights among the columns, int64 ``[p]``.
    linear
        Positions of the skip connection's columns of the same input; those of ``second`` where they are not needed.
    factor, share
        A column of ``first`` is its difference plus ``factor`` times that of ``second`` plus ``share`` times that of
        ``linear``, ``[p]``.
    plain
        Which columns are no differences, bool ``[k]``.
    """

    first: Tensor
    second: Tensor
    linear: Tensor
    factor: Tensor
    share: Tensor
    plain: Tensor

    @classmethod
    def of(cls, blocks: Blocks) -> Wedges:
        """Find the pairs of a network."""
        w, d = blocks.weights, blocks.weights.shape[1]
        count = blocks.support.sum(1)
        place = blocks.support.flatten().cumsum(0).reshape(blocks.support.shape) - 1  # of an entry among the columns
        single = torch.full((d,), -1, dtype=torch.int64, device=w.device)
        rows = (count == 1).nonzero()[:, 0]
        single[blocks.support[rows].int().argmax(1)] = rows
        size, a = w.abs().max(1) if len(w) else (w.new_zeros(0), single[:0])
        j = ((count > 1) & (size > DOMINANT * w.norm(dim=1)) & (single[a] >= 0)).nonzero()[:, 0]
        a, other = a[j], single[a[j]]
        same = w[j, a] * w[other, a] > 0
        if blocks.skip is None:
            j, a, other, same = j[same], a[same], other[same], same[same]
        sign = torch.ones_like(w[:, 0]) if blocks.outputs is None else blocks.outputs
        one = torch.ones_like(sign[j])
        second = place[other, a]
        k = blocks.nnz + (0 if blocks.skip is None else d)
        plain = torch.ones(k, dtype=torch.bool, device=w.device)
        plain[place[j, a]] = False
        return cls(
            place[j, a],
            second,
            torch.where(same, second, blocks.nnz + a),
            sign[j] * sign[other] * torch.where(same, one, -one),
            torch.where(same, 0.0 * one, sign[j]),
            plain,
        )

    def done(self, columns: Tensor) -> Tensor:
        """Put the differences in place of the columns of ``first``, in place; ``[k, samples]``."""
        if len(self.first):
            factor, share = (part.to(columns.dtype)[:, None] for part in (self.factor, self.share))
            columns[self.first] -= factor * columns[self.second] + share * columns[self.linear]
        return columns

    def undone(self, gram: Tensor) -> Tensor:
        """Return the Gram matrix ``[k, k]`` of the columns for that of the differences, in place."""
        if len(self.first):
            for matrix in (gram, gram.T):
                more = self.factor[:, None] * matrix[self.second] + self.share[:, None] * matrix[self.linear]
                matrix[self.first] += more
        return gram
