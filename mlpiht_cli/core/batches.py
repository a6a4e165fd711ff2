"""Minibatches in the order that the protocol sets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import compiled
from mlpiht_cli.rng import Permutations

if TYPE_CHECKING:
    from torch import Tensor


def gathered(x: Tensor, rows: Tensor, out: Tensor | None = None) -> Tensor:
    """Return rows of ``x`` ``[n, d]`` feature by feature, ``[d, len(rows)]`` contiguous, in the memory of ``out``."""
    out = x.new_empty(x.shape[1], len(rows)) if out is None else out
    if not compiled(x.device) or not x.is_contiguous():
        return out.copy_(x[rows].T)
    from mlpiht_cli.linalg.rows import gather  # loads numba

    return gather(x, rows, out)


class Batches:
    """Epochs of minibatches. Each epoch draws a fresh permutation on the CPU from one stream.

    Parameters
    ----------
    problem
        The problem whose training set is split; the last batch of an epoch may be smaller.
    size
        Samples per batch. With 0, or at least n, an epoch is one batch of all samples in the order of the data; whether
        it counts as the full batch or as a minibatch is the method's business.
    order
        The stream of permutations (protocol, section 3).
    """

    def __init__(self, problem: Problem, size: int, order: Permutations) -> None:
        self._problem, self._size, self._order = problem, size, order
        self._whole: Tensor | None = None
        self._rooms: dict[int, Tensor] = {}  # by size: an epoch's last batch may be smaller

    @cached_property
    def _targets(self) -> Tensor:
        """Targets output by output, ``[k, n]``."""
        return self._problem.y.T.contiguous()

    @property
    def full(self) -> bool:
        """Whether every epoch is one batch, the whole training set."""
        return not 0 < self._size < self._problem.n

    @property
    def per_epoch(self) -> int:
        """Number of batches of an epoch."""
        return 1 if self.full else -(-self._problem.n // self._size)

    def next_epoch(self) -> tuple[Tensor | None, list[tuple[int, int]]]:
        """Draw the next epoch: the order of the samples (None: unchanged), and the span ``(first, end)`` of each batch.

        ``end`` is excluded.
        """
        n, order = self._problem.n, None
        size = n if self.full else self._size
        if not self.full:
            order = self._order.draw(n).to(self._problem.x.device)
        return order, [(first, min(first + size, n)) for first in range(0, n, size)]

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of the next epoch: inputs ``[d, b]`` and targets ``[k, b]``.

        Inputs are stored *feature by feature* and targets output by output, contiguous. A batch reuses the memory of
        the inputs of the previous batch. The full batch is the same tensor every time.
        """
        x, y = self._problem.x, self._problem.y
        order, spans = self.next_epoch()
        if order is None:
            if self._whole is None:
                self._whole = self._problem.columns
            yield self._whole, self._targets
            return
        for first, last in spans:
            batch = order[first:last]
            yield gathered(x, batch, self._room(last - first)), gathered(y, batch)

    def _room(self, size: int) -> Tensor:
        """Return memory for the inputs of a batch, ``[d, size]``; new memory would cost more than the copy."""
        if size not in self._rooms:
            self._rooms[size] = self._problem.x.new_empty(self._problem.d, size)
        return self._rooms[size]
