"""Finished networks for inputs of any distribution: a neuron that is always open takes what is left of the skip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.decode import PAIR, TINY, Flags, Floats, Signs, flipped, unpaired
from mlpiht_cli.solvers.realloc.newton import GaussNewton
from mlpiht_cli.solvers.realloc.prune import Elimination

if TYPE_CHECKING:
    from torch import Tensor


def sides(samples: Samples) -> Tensor:
    """Return +1 for inputs that are never negative, -1 for those that are never positive, 0 for others, ``[d]``."""
    low, high = samples.features.amin(1), samples.features.amax(1)
    return (low >= 0).double() - (high <= 0).double()


class OneSided(Signs):
    """Search for the neurons to flip if a rest on the open side of one-sided inputs is a neuron, not a mistake."""

    def __init__(self, w: Floats, skip: Floats, single: Flags, free: bool, side: Floats) -> None:
        super().__init__(w, skip, single, free)
        self._side = side

    def _costs(self, left: Floats) -> Floats:
        open_ = left * self._side > 0.0
        weights = np.sqrt(np.where(open_, np.abs(left), 0.0)).sum(-1)
        return np.asarray(super()._costs(np.where(open_, 0.0, left)) + PAIR * weights)


def signed_on(samples: Samples, blocks: Blocks) -> Blocks:
    """Flip neurons as :func:`~mlpiht_cli.solvers.realloc.decode.signed` does, with an open neuron for the rest."""
    assert blocks.skip is not None, "the search has a skip connection"
    w, skip = blocks.slopes.cpu().numpy(), blocks.skip.cpu().numpy()
    single = blocks.support.sum(1).cpu().numpy() == 1
    puzzle = OneSided(w, skip, single, blocks.outputs is not None, sides(samples).cpu().numpy())
    return flipped(blocks, puzzle)


def with_open(paired: Blocks, skip: Tensor) -> Blocks:
    """Add a neuron with the weights of the skip connection ``[d]`` on the inputs without a one-sparse neuron."""
    taken = paired.support[paired.support.sum(1) == 1].any(0)
    largest = float(torch.cat([paired.weights.flatten(), skip]).abs().max())
    rest = torch.where((skip.abs() > TINY * largest) & ~taken, skip, 0.0)[None]
    outputs = None if paired.outputs is None else paired.outputs.new_ones(1)
    return paired.joined(Blocks(rest, rest != 0, None, outputs)) if rest.any() else paired


def finished(samples: Samples, blocks: Blocks, m: int, s: int) -> list[Blocks]:
    """Return networks without a skip connection of at most ``m`` neurons and ``s`` weights.

    They are pruned by elimination, not by size: small weights can matter more than large ones of other inputs.
    """
    turned = signed_on(samples, blocks)
    assert turned.skip is not None, "the search has a skip connection"
    paired = unpaired(turned, min(m - len(blocks.weights), s - blocks.nnz))
    return [within(samples, one, m, s) for one in (paired, with_open(paired, turned.skip)) if one.nnz]


def within(samples: Samples, blocks: Blocks, m: int, s: int) -> Blocks:
    """Return a network of at most ``m`` neurons, the largest, and at most ``s`` weights, by elimination."""
    size = blocks.weights.norm(dim=1)
    keep = blocks.support.clone()
    keep[size.argsort(descending=True)[m:]] = False
    blocks = blocks.kept(keep)
    if blocks.nnz <= s:
        return blocks
    return Elimination(0.0, s)(GaussNewton(3)(samples, blocks))
