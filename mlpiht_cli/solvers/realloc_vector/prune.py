"""Backward elimination of hidden and output weights together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.solvers.realloc.prune import Stop
from mlpiht_cli.solvers.realloc_vector.network import Neurons
from mlpiht_cli.solvers.realloc_vector.newton import VectorFitted

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class JointElimination:
    """Remove weights until each is significant and at most ``budget`` are left.

    As with one output (:class:`mlpiht_cli.solvers.realloc.prune.Elimination`); the squared errors of the outputs are
    divided by their means, so that ``z`` counts standard deviations in each. A neuron's pivot goes with its last
    output.
    """

    z: float
    budget: int

    def __call__(self, fitted: VectorFitted) -> Neurons:
        """Return the network on the remaining supports, with adjusted weights."""
        at, values = fitted.joint, fitted.joint.values(fitted.blocks)
        stop = Stop(self.z**2, max(0, self.budget - at.at.count), len(values))
        moved, alive = stop.eliminated(at.hessian, values)
        found = at.with_values(moved)
        return found.kept(*self._left(at.at, at.inner, alive))

    def _left(self, at: Neurons, inner: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        split = int(inner.sum())
        support, used = at.support.clone(), torch.zeros_like(at.used)
        support[inner], used[at.used] = alive[:split], alive[split:]
        return support, used
