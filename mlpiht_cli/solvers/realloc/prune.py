"""Backward elimination: weights are removed one by one, the cheapest first, and the others adjust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks
from mlpiht_cli.solvers.realloc.newton import Fitted

if TYPE_CHECKING:
    from torch import Tensor

RIDGE = 1e-6  # share of the diagonal, above the rounding of float32: keeps the inverse finite if two blocks are equal


@dataclass(frozen=True)
class Elimination:
    """Remove weights until each is significant and at most ``budget`` are left.

    The price of a weight is the rise of the squared error at fixed gates when the weight is removed and all others
    adjust: ``w_i^2 / (H^-1)_ii`` (Hassibi and Stork's optimal brain surgeon). A weight is significant if its price is
    at least ``z^2`` mean squared errors: a z-test that treats the misfit as noise. Weights are removed one by one,
    because two equal blocks both look needless until one of them is removed.
    """

    z: float
    budget: int

    def __call__(self, fitted: Fitted) -> Blocks:
        """Return the network on the remaining support, with adjusted weights."""
        blocks = fitted.blocks
        parts = [blocks.weights[blocks.support], *([] if blocks.skip is None else [blocks.skip])]
        count = blocks.nnz
        stop = Stop(self.z**2 * fitted.loss, self.budget, count)
        moved, alive = stop.eliminated(fitted.quadratic.hessian, torch.cat(parts))
        weights, keep = torch.zeros_like(blocks.weights), torch.zeros_like(blocks.support)
        weights[blocks.support] = moved[:count]
        keep[blocks.support] = alive
        skip = None if blocks.skip is None else moved[count:]
        return replace(blocks, weights=weights, skip=skip).kept(keep)


@dataclass(frozen=True)
class Stop:
    """When removing entries ends: each is worth more than ``price``, and at most ``budget`` of them are left.

    Only the first ``count`` entries can be removed. ``ridge`` is the share of the curvature's diagonal added to it.
    """

    price: float
    budget: int
    count: int
    ridge: float = RIDGE

    def eliminated(self, hessian: Tensor, entries: Tensor) -> tuple[Tensor, Tensor]:
        """Remove entries one by one; return all entries, adjusted, and which of the first are left, bool ``[count]``.

        Parameters
        ----------
        hessian
            Curvature of the squared error in the entries, float64 ``[p, p]``.
        entries
            float64 ``[p]``.
        """
        from scipy.linalg.blas import dger

        matrix, count = hessian.cpu().numpy(), self.count
        scale = np.sqrt(np.maximum(matrix.diagonal(), 1e-30))
        correlation = matrix / np.outer(scale, scale)
        correlation[np.diag_indices_from(correlation)] += self.ridge
        inverse = np.asfortranarray(np.linalg.inv(correlation))
        values = entries.cpu().numpy() * scale
        alive = np.ones(count, dtype=bool)
        while alive.any():
            price = np.where(alive, values[:count] ** 2 / np.maximum(inverse.diagonal()[:count], 1e-30), np.inf)
            i = int(price.argmin())
            if price[i] > self.price and alive.sum() <= self.budget:
                break
            share = inverse[:, i] / inverse[i, i]
            values -= share * values[i]
            inverse = dger(-1.0, share, inverse[i].copy(), a=inverse, overwrite_a=True)
            alive[i], values[i], inverse[i, i] = False, 0.0, 1.0
        return torch.from_numpy(values / scale).to(entries.device), torch.from_numpy(alive).to(entries.device)
