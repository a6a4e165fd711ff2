"""Products of activations with weights that are mostly zero."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlpiht_cli.core.columns import COLUMNS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SPARSE_SHARE = 1 / 8
"""Share of nonzeros below which a product with the nonzeros alone is faster on a CPU than a dense one."""
_CACHED = 2**17  # activations of all layers that stay in a processor's cache
_MOST = 2**24  # activations in memory at a time, wherever that is
_SAMPLES = 256, 4096  # fewest and most samples of a chunk on a CPU, if the memory allows


def factor(weights: Tensor) -> Tensor:
    """Return weights ``[out, in]`` in the form that multiplies activations ``[in, b]`` fastest, sparse or dense."""
    few = weights.device.type == "cpu" and int(weights.count_nonzero()) < SPARSE_SHARE * weights.numel()
    return weights.to_sparse() if few else weights


def inputs(x: Tensor, span: slice, used: Tensor, weights: Tensor) -> Tensor:
    """Return the used features of a span of samples ``[n, d]`` as ``[used, b]``, as a product with a factor likes it.

    Columns that are kept are read where they lie.
    """
    if weights.is_sparse:
        kept = COLUMNS.known(x)
        return (x[span].T if kept is None else kept[:, span]).index_select(0, used)
    return (x[span] if len(used) == x.shape[1] else x[span].index_select(1, used)).T


def samples_at_a_time(widths: Iterable[int], device: torch.device) -> int:
    """Return the number of samples in a chunk, for layers of these widths, inputs included."""
    width = max(1, sum(widths))
    most = max(1, _MOST // width)
    return min(most, max(_SAMPLES[0], min(_SAMPLES[1], _CACHED // width))) if device.type == "cpu" else most
