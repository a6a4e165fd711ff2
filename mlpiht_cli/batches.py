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

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the next epoch's batches: inputs ``[b, d]`` and targets ``[b, k]``."""
        x, y = self._problem.x, self._problem.y
        if self.full:
            yield x, y
            return
        permutation = torch.randperm(self._problem.n, generator=self._order).to(x.device)
        for rows in torch.split(permutation, self._size):
            yield x[rows], y[rows]
