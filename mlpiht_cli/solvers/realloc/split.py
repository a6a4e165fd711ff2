"""Splits: a neuron that may be two planted neurons, whose gates agree on most samples, becomes two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.field import Field
from mlpiht_cli.solvers.realloc.gates import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

TILTS = (0.1, 0.3, 1.0)
"""Sizes of a tilt: its root mean square over that of ``w . x``."""
PAIRS = tuple((share, side * tilt) for share in (0.5, 0.25) for tilt in TILTS for side in (1, -1)[: 1 + (share < 0.5)])
"""Share of the neuron in the first of the two, and tilt; equal halves need one side."""


@dataclass(frozen=True)
class Split:
    """Neurons ``share w + t e_a`` and ``(1 - share) w - t e_a`` in place of w: their sum differs at the boundary alone.

    No column of the fitted network has that shape, so that no step on the weights finds it.

    Attributes
    ----------
    gain
        Squared z-value of the change next to all columns of the network, of the best pair of each neuron, ``[b]``.
    first, second
        Weights of that pair, float64 ``[b, d]``.
    """

    gain: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def best(cls, samples: Samples, blocks: Blocks, residual: Tensor) -> Split:
        """Try all neurons, inputs and pairs on the first samples."""
        run = slice(0, min(samples.n, SAMPLES))
        field = Field.of(samples.columns(blocks, run), samples.features[:, run], residual[run])
        found = [_best(field, w) for w in blocks.weights]
        gain, first, second = (torch.stack(part) for part in zip(*found, strict=True))
        return cls(gain, first, second)

    def applied(self, blocks: Blocks, which: Sequence[int]) -> Blocks:
        """Return the network with these neurons split."""
        weights, second = blocks.weights.clone(), self.second[which]
        weights[which] = self.first[which]
        outputs = None if blocks.outputs is None else blocks.outputs[which]
        whole = Blocks(weights, blocks.support | (weights != 0), blocks.skip, blocks.outputs)
        return whole.joined(Blocks(second, second != 0, None, outputs))


def _best(field: Field, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest squared z-value of a neuron's splits, and the two neurons of that split."""
    out = w.to(field.x.dtype) @ field.x
    unit = out.norm() / field.x.norm(dim=1).clamp(min=1e-30)
    gain, pair = w.new_zeros(()), (w, torch.zeros_like(w))
    for share, tilt in PAIRS:
        slope = tilt * unit
        turned = slope[:, None] * field.x
        change = (share * out + turned).clamp(min=0.0) + ((1.0 - share) * out - turned).clamp(min=0.0)
        squares = field.z(change - out.clamp(min=0.0)).square()
        a = int(squares.argmax())
        if squares[a] > gain:
            turn = torch.zeros_like(w)
            turn[a] = slope[a].double()
            gain, pair = squares[a], (share * w + turn, (1.0 - share) * w - turn)
    return gain, *pair
