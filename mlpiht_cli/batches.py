"""Minibatches in the protocol's order."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mlpiht_cli.problem import Problem


class Batches:
    """Epochs of minibatches: a fresh permutation an epoch, drawn on the CPU from one stream.

    Parameters
    ----------
    problem
        Its training set is split; the last batch of an epoch may be smaller.
    size
        Samples a batch; 0 (or at least n) is the full batch, in the order of the data.
    order
        The stream of permutations (protocol, section 3).
    """

    def __init__(self, problem: Problem, size: int, order: torch.Generator) -> None:
        self._problem, self._size, self._order = problem, size, order

    @property
    def full(self) -> bool:
        """Whether every epoch is one batch, the whole training set."""
        return not 0 < self._size < self._problem.n

    def next_epoch(self) -> tuple[Tensor | None, list[tuple[int, int]]]:
        """Draw the next epoch: an order of the samples (None: as they are), and its batches' first and last place."""
        n, order = self._problem.n, None
        size = n if self.full else self._size
        if not self.full:
            order = torch.randperm(n, generator=self._order).to(self._problem.x.device)
        return order, [(first, min(first + size, n)) for first in range(0, n, size)]

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the next epoch's batches: inputs ``[b, d]`` and targets ``[b, k]``."""
        x, y = self._problem.x, self._problem.y
        order, spans = self.next_epoch()
        for first, last in spans:
            yield (x, y) if order is None else (x[order[first:last]], y[order[first:last]])
