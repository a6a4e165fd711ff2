"""One-sparse neurons on every input: what rounds add, so that no small one is overlooked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples

if TYPE_CHECKING:
    from torch import Tensor


def even_part(samples: Samples, residual: Tensor) -> Tensor:
    """Return the covariance of the residual and ``|x_a|``, times n, ``[d]``: the sign of a one-sparse neuron on x_a."""
    total, centred = torch.zeros_like(samples.features[:, 0]), residual - residual.mean()
    for run in tiles(samples.n):
        total += samples.features[:, run].abs() @ centred[run]
    return total


def with_one_sparse(blocks: Blocks, halve: list[int], even: Tensor) -> Blocks:
    """Add a one-sparse neuron for every input that has none; the neurons ``halve`` give half of their largest weight.

    A neuron of ``halve`` may represent two planted neurons whose gates agree on nearly all samples, so that a small
    second neuron would grow too slowly to be noticed. Output signs, if they are free, are those of ``even``.
    """
    single = blocks.support[blocks.support.sum(1) == 1].any(0)
    weights = blocks.weights.clone()
    start = torch.full_like(weights[0], 1e-6)
    sign = torch.where(even < 0.0, -1.0, 1.0).to(start)
    for j in halve:
        a = int(weights[j].abs().argmax())
        if not single[a]:
            weights[j, a] *= 0.5
            start[a] = weights[j, a]
            if blocks.outputs is not None:
                sign[a] = blocks.outputs[j]
    added = torch.diag(start)[~single]
    outputs = None if blocks.outputs is None else sign[~single]
    return replace(blocks, weights=weights).joined(Blocks(added, added != 0, None, outputs))
