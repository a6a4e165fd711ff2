"""Hard thresholding: the indices of the ``s`` entries of largest magnitude, in one go or streamed over tiles."""

from __future__ import annotations

import torch
from torch import Tensor


def top_s(values: Tensor, s: int) -> Tensor:
    """Positions of the ``s`` nonzero entries of largest magnitude, in ascending order.

    Ties are kept by lowest position, which ``torch.topk`` does not promise. Zeros are never kept, so fewer than
    ``s`` positions come back when ``values`` has fewer nonzeros. NaN counts as larger than any number, so that
    divergence stays visible.

    Parameters
    ----------
    values
        Vector, shape ``[N]``.
    s
        Budget, at least 1.

    Returns
    -------
    Tensor
        int64 positions, shape ``[<= s]``.
    """
    if s < 1:
        raise ValueError(f"the budget s must be at least 1, got {s}")
    magnitude = values.abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
    if s < magnitude.numel():
        least = torch.topk(magnitude, s, sorted=True).values[-1]
        above = magnitude > least
        room = s - above.sum()
        ties = magnitude == least
        keep = above | (ties & (ties.cumsum(0) <= room))
    else:
        keep = torch.ones_like(magnitude, dtype=torch.bool)
    return torch.nonzero(keep & (magnitude > 0)).flatten()


class StreamedTopS:
    """The ``s`` largest entries of a vector that arrives in tiles of ascending index.

    Equal to :func:`top_s` of the whole vector, ties included, while holding at most ``s`` entries and one tile.
    """

    def __init__(self, s: int) -> None:
        self.s = s
        self._index: Tensor | None = None
        self._values: Tensor | None = None

    def push(self, index: Tensor, values: Tensor) -> None:
        """Offer a tile: ``index`` (int64, ascending, above all earlier ones) and ``values``, both ``[t]``."""
        if self._index is not None and self._values is not None:
            index = torch.cat([self._index, index])
            values = torch.cat([self._values, values])
        keep = top_s(values, self.s)
        self._index, self._values = index[keep], values[keep]

    def result(self) -> tuple[Tensor, Tensor]:
        """Return the kept indices (ascending) and their values, both ``[<= s]``."""
        if self._index is None or self._values is None:
            raise ValueError("no tile was pushed")
        return self._index, self._values
