"""What a fit needs of its answer: predictions. A network has them, and so has a model without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Predictor(Protocol):
    """A model that predicts: a :class:`~mlpiht_cli.core.model.SparseMLP`, or one that is no network, such as trees.

    A model that is no network has no weights to count, and it can be neither saved nor drawn.
    """

    @property
    def nnz(self) -> int | None:
        """Number of nonzero weights; None for a model that has no weights."""

    @property
    def nnz_by_layer(self) -> list[int] | None:
        """Number of nonzero weights of each layer; None for a model that has no weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions ``[n, k]`` for inputs ``[n, d]``, in their dtype and on their device."""
