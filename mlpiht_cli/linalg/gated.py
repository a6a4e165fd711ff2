"""The gated ReLU operator in torch (for GPUs, and to check the compiled operator), and the choice between the two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar

import torch

from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.gates import GateRule
from mlpiht_cli.linalg.operators import Descent, GatedOperator, MatrixColumns, Tile, by_neuron
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threads import kernel_threads

if TYPE_CHECKING:
    from torch import Tensor

BACKEND = "MLPIHT_BACKEND"
"""Environment variable: ``torch`` runs the torch operator on the CPU too."""
TILE_NUMBERS = 2**26
"""Largest size of the masked residuals of a tile; with n samples a tile has at most ``TILE_NUMBERS / n`` neurons."""
HELD_BYTES = 2**28
"""Largest memory in bytes for masks that an operator keeps (one byte each) instead of computing them again."""


class TorchOperator(GatedOperator):
    """The gated ReLU operator in torch products; the host does not wait for the device.

    No shape depends on values (if the masks of the random gates fit into ``HELD_BYTES``), so all products of a step
    queue up on a GPU; a fit reads the loss after each step. The operator stores the columns of a support: ``n x |S|``
    numbers.
    """

    static: ClassVar[bool] = True

    def __init__(
        self, features: Tensor, gates: GateRule, m: int, signs: Tensor | None = None, tile: int | None = None
    ) -> None:
        n = features.shape[1]
        super().__init__(features, gates, m, signs, tile or max(1, TILE_NUMBERS // n))
        self._held: Tensor | None = None
        if gates.count * n <= HELD_BYTES:
            dead = torch.zeros(1, n, dtype=torch.bool, device=features.device)
            self._held = torch.cat([*[self._computed(rows) for rows in gates.tiles(self._tile)], dead])

    def columns(self, index: Tensor) -> MatrixColumns:
        """Return the columns of the operator at ``index``; columns of dead neurons are zero."""
        d = self._features.shape[0]
        neurons = index // d
        return MatrixColumns(self._features[index % d] * self.masks(neurons), by_neuron(self._signs, neurons))

    def descend(self, weights: SparseMatrix, y: Tensor) -> Descent:
        """Return residual and gradients at the weights; the tiles hold the live neurons."""
        support = self.columns(weights.index)
        residual = support.matvec(weights.values) - y
        return Descent(support, residual, support.slopes(residual), self._tiles(residual))

    def _tiles(self, residual: Tensor) -> Iterator[Tile]:
        for rows in self._gates.tiles(self._tile):
            values = (self.masks(rows) * residual) @ self._features.T
            signs = by_neuron(self._signs, rows)
            yield Tile(rows, values if signs is None else values * signs[:, None])

    def masks(self, neurons: Tensor) -> Tensor:
        """Return ``1[X h_j > 0]`` of the given neurons (ascending), bool ``[len(neurons), n]``."""
        return self._computed(neurons) if self._held is None else self._held[self._gates.places(neurons)]

    def _computed(self, neurons: Tensor) -> Tensor:
        # Neurons past the last one are padding; they count as dead, as do those that the rule does not list.
        live = (neurons < self._m) & (self._gates.places(neurons) < self._gates.count)
        return (self._gates.directions(neurons) @ self._features > 0) & live[:, None]


def gated_operator(features: Tensor, gates: GateRule, m: int, signs: Tensor | None = None) -> GatedOperator:
    """Return the operator of a fused two-layer ReLU network for the device of ``features``; see GatedOperator."""
    if compiled(features.device):
        from mlpiht_cli.linalg.compiled import CompiledOperator

        return CompiledOperator(features, gates, m, signs)
    return TorchOperator(features, gates, m, signs)


def threads_for(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which the compiled kernels have the threads if the device uses them; see kernel_threads."""
    return kernel_threads() if compiled(device) else nullcontext()


def compiled(device: torch.device) -> bool:
    """Whether compiled kernels run on this device and :data:`BACKEND` allows them."""
    backend = os.environ.get(BACKEND, "compiled")
    if backend not in ("compiled", "torch"):
        raise InputError(f"{BACKEND}={backend}: use compiled (the default on CPUs) or torch (used on GPUs)")
    return device.type == "cpu" and backend == "compiled"
