"""Between a problem with one output and the search: inputs of about unit size, and networks of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.search import Search

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mlpiht_cli.core.problem import Problem


def powers_of_two(columns: Tensor) -> Tensor:
    """Return the RMS of each column, rounded to a power of two so that division is exact; 1 for an all-zero column."""
    mean = columns.double().square().mean(0).sqrt()
    return torch.where(mean > 0, torch.exp2(mean.clamp(min=1e-30).log2().round()), 1.0).to(columns.dtype)


@dataclass(frozen=True)
class OneOutput:
    """A problem's samples, inputs divided by powers of two.

    Attributes
    ----------
    samples
        The samples.
    scale
        What the inputs were divided by, ``[d]``.
    free
        Whether output signs are free.
    """

    samples: Samples
    scale: Tensor
    free: bool

    @classmethod
    def of(cls, problem: Problem, free: bool) -> OneOutput:
        """Scale the samples of a problem; this takes the memory of its inputs once more."""
        scale = powers_of_two(problem.x)
        return cls(Samples((problem.x / scale).T.contiguous(), problem.y[:, 0]), scale, free)

    def search(self, model: SparseMLP, limits: Limits, draws: np.random.Generator) -> Search:
        """Return a search that starts with a network as the best one."""
        blocks = self._blocks(model)
        return Search(self.samples, limits, draws, (blocks, self.samples.loss(blocks)))

    def _blocks(self, model: SparseMLP) -> Blocks:
        """Return the live neurons of a network; with output signs if signs are free."""
        layer, readout = model.layers[0], model.readout
        live = layer.live_rows()
        weights = layer.dense_rows(live).double() * self.scale
        outputs = readout[live].double() if self.free and readout is not None else None
        return Blocks(weights, weights != 0, outputs=outputs)

    def model(self, blocks: Blocks, like: SparseMLP) -> SparseMLP:
        """Return the network of the blocks, as wide as ``like``, on its device and in its dtype."""
        weights, readout, m = blocks.weights / self.scale, like.readout, like.layers[0].rows
        found = SparseMatrix.from_dense(weights)
        if blocks.outputs is not None:
            readout = torch.cat([blocks.outputs, blocks.outputs.new_ones(m - len(weights))]).to(like.dtype)
        model = SparseMLP((SparseMatrix(found.index, found.values, m, weights.shape[1]),), readout)
        return model.to(like.layers[0].values.device, like.dtype)
