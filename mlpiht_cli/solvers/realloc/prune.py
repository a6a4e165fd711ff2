"""Backward elimination: weights are removed one by one, the cheapest first, and the others adjust."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks
from mlpiht_cli.solvers.realloc.newton import Fitted

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
        from scipy.linalg.blas import dger

        blocks, hessian = fitted.blocks, fitted.quadratic.hessian.cpu().numpy()
        scale = np.sqrt(np.maximum(hessian.diagonal(), 1e-30))
        correlation = hessian / np.outer(scale, scale)
        correlation[np.diag_indices_from(correlation)] += RIDGE
        inverse = np.asfortranarray(np.linalg.inv(correlation))
        parts = [blocks.weights[blocks.support], *([] if blocks.skip is None else [blocks.skip])]
        values = torch.cat(parts).cpu().numpy() * scale
        count = blocks.nnz
        alive = np.ones(count, dtype=bool)
        while alive.any():
            price = np.where(alive, values[:count] ** 2 / np.maximum(inverse.diagonal()[:count], 1e-30), np.inf)
            i = int(price.argmin())
            if price[i] > self.z**2 * fitted.loss and alive.sum() <= self.budget:
                break
            share = inverse[:, i] / inverse[i, i]
            values -= share * values[i]
            inverse = dger(-1.0, share, inverse[i].copy(), a=inverse, overwrite_a=True)
            alive[i], values[i], inverse[i, i] = False, 0.0, 1.0
        moved = torch.from_numpy(values / scale).to(blocks.weights.device)
        weights, keep = torch.zeros_like(blocks.weights), torch.zeros_like(blocks.support)
        weights[blocks.support] = moved[:count]
        keep[blocks.support] = torch.from_numpy(alive).to(keep.device)
        skip = None if blocks.skip is None else moved[count:]
        return replace(blocks, weights=weights, skip=skip).kept(keep)
