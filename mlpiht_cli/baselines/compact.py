"""The active part of a pruned network: neurons without incoming or outgoing weights are removed without any error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Part(NamedTuple):
    """Active units of a layer: outputs ``rows``, inputs ``cols`` (int64), and the mask ``[rows, cols]``.

    A weight outside the part has no gradient for any value, so it does not change.
    """

    rows: Tensor
    cols: Tensor
    mask: Tensor

    def take(self, weight: Tensor) -> Tensor:
        """Return the weights ``[rows, cols]`` of the part, out of all ``[out, in]``."""
        return weight[self.rows[:, None], self.cols] * self.mask

    def put(self, weight: Tensor, trained: Tensor) -> Tensor:
        """Return all weights ``[out, in]``, with the part replaced by ``trained`` ``[rows, cols]``."""
        out = weight.clone()
        out[self.rows[:, None], self.cols] = trained
        return out


def compact(masks: Sequence[Tensor]) -> list[Part]:
    """Find the part of each layer that lies on a path from the inputs to the outputs.

    Parameters
    ----------
    masks
        Bool masks of the layers' weights, input side first, each ``[out, in]``.

    Returns
    -------
    list of Part
        The parts, input side first. The rows of one layer are the columns of the next. All outputs stay.
    """
    device = masks[0].device
    reached = [torch.ones(masks[0].shape[1], dtype=torch.bool, device=device)]
    for mask in masks:
        reached.append((mask & reached[-1]).any(dim=1))
    useful = torch.ones(masks[-1].shape[0], dtype=torch.bool, device=device)
    rows = torch.arange(len(useful), device=device)
    parts = []
    for mask, before in zip(reversed(masks), reversed(reached[:-1]), strict=True):
        useful = before & mask[useful].any(dim=0)
        cols = torch.nonzero(useful).flatten()
        parts.append(Part(rows, cols, mask[rows[:, None], cols]))
        rows = cols
    return parts[::-1]
