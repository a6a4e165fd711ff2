"""Dynamic sparse training: a sparse network that drops and grows weights while it trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.baselines.pruning.network import best

if TYPE_CHECKING:
    from torch import Tensor


def erdos_renyi(shapes: Sequence[tuple[int, int]], budget: int) -> list[int]:
    """Return how many weights each layer gets: in proportion to ``inputs + outputs``, ``budget`` in total.

    This is the Erdos-Renyi distribution (Mocanu et al., 2018, eq. 1) with its scale set so that the total is exact. A
    layer that is full gives what it cannot take to the others; fractions are rounded by largest remainder, of equal
    ones the first.
    """
    sizes, share = np.array([a * b for a, b in shapes]), np.array([float(a + b) for a, b in shapes])
    left, found = min(budget, int(sizes.sum())), np.zeros(len(sizes))
    free = np.ones(len(sizes), dtype=bool)
    while True:
        found[free] = left * share[free] / share[free].sum()
        full = free & (found >= sizes)
        if not full.any():
            break
        found[full] = sizes[full]
        left -= int(sizes[full].sum())
        free &= ~full
        if not free.any():
            break
    counts = np.floor(found).astype(int)
    missing = min(budget, int(sizes.sum())) - int(counts.sum())
    counts[np.argsort(counts - found, kind="stable")[:missing]] += 1
    return [int(count) for count in counts]


def random_masks(shapes: Sequence[tuple[int, int]], counts: Sequence[int], draws: np.random.Generator) -> list[Tensor]:
    """Return random masks with so many entries each."""
    masks = []
    for (rows, cols), count in zip(shapes, counts, strict=True):
        mask = torch.zeros(rows * cols, dtype=torch.bool)
        mask[torch.from_numpy(draws.choice(rows * cols, count, replace=False))] = True
        masks.append(mask.view(rows, cols))
    return masks


def cosine_share(step: int, end: int, first: float) -> float:
    """Return the share of weights that an update replaces, which falls along half a cosine (Evci et al., 2020)."""
    return 0.5 * first * (1.0 + math.cos(math.pi * step / end)) if step < end else 0.0


def grown(mask: Tensor, stays: Tensor, slopes: Tensor) -> Tensor:
    """Return a mask of as many entries as ``mask``: what stays, and the entries of largest slope among all others.

    An entry that was dropped may be grown again, as in RigL (Evci et al., 2020, algorithm 1).
    """
    room = int(mask.sum()) - int(stays.sum())
    (new,) = best([slopes.abs()], room, [~stays])
    return stays | new
