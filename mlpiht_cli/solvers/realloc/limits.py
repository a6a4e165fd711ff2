"""Limits of networks: of the answer, and of what the search holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks


@dataclass(frozen=True)
class Limits:
    """Limits of the answer: neurons ``m`` and weights ``s``; and the larger limits of networks during the search."""

    m: int
    s: int

    @property
    def blocks(self) -> int:
        """Largest number of neurons during the search."""
        return math.ceil(1.5 * self.m) + 5

    @property
    def weights(self) -> int:
        """Largest number of weights during the search, after pruning."""
        return math.ceil(1.3 * self.s) + 20

    @property
    def inputs(self) -> int:
        """Largest number of weights that a round adds to known neurons."""
        return max(10, math.ceil(0.3 * self.s))


def largest(blocks: Blocks, limits: Limits) -> Blocks:
    """Keep the ``m`` largest neurons and the ``s`` largest weights among them."""
    keep = blocks.support.clone()
    size = blocks.weights.norm(dim=1)
    keep[size.argsort(descending=True)[limits.m :]] = False
    entries = torch.where(keep, blocks.weights.abs(), -1.0).flatten().argsort(descending=True)
    keep.view(-1)[entries[limits.s :]] = False
    return blocks.kept(keep)
