"""Between a problem with one output and the search end to end: inputs and targets of about unit size, and networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.problem import powers_of_two
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.search import DeepSearch
from mlpiht_cli.solvers.realloc_deep.sparsest import Sparsest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mlpiht_cli.core.problem import Problem


@dataclass(frozen=True)
class TwoLayerProblem:
    """A problem's samples, inputs and targets divided by powers of two.

    Attributes
    ----------
    samples
        The samples.
    scale
        What the inputs were divided by, ``[d]``.
    unit
        What the targets were divided by.
    like
        A tensor of the problem's device and dtype.
    """

    samples: DeepSamples
    scale: Tensor
    unit: float
    like: Tensor

    @classmethod
    def of(cls, problem: Problem) -> TwoLayerProblem:
        """Scale the samples of a problem; this takes the memory of its inputs once more."""
        scale, unit = powers_of_two(problem.x), float(powers_of_two(problem.y)[0])
        samples = DeepSamples((problem.x / scale).T.contiguous(), problem.y[:, 0] / unit)
        return cls(samples, scale, unit, problem.x)

    def search(self, limits: Limits, draws: np.random.Generator) -> DeepSearch:
        """Return a search for networks of the samples."""
        return DeepSearch(self.samples, limits, draws)

    def sparsest(self, model: SparseMLP, limits: Limits) -> SparseMLP:
        """Return an exact network with fewer weights if that is found; see :class:`Sparsest`."""
        first, second = (layer.dense().to(self.scale.device, torch.float64) for layer in model.layers)
        net = Deep(first * self.scale, second / self.unit, first.new_zeros(len(first))).tidied()
        return self.model(Sparsest(self.samples, limits)(net), limits.m)

    def model(self, net: Deep, m: int) -> SparseMLP:
        """Return the network with ``m`` neurons a layer; its direct part, not negative, is one of the second layer."""
        second = torch.cat([net.second, net.direct[None]])
        second = second[(second != 0).any(1)] * self.unit
        h, q = len(net.first), len(second)
        wide = net.first.new_zeros(m, net.first.shape[1]), net.first.new_zeros(m, m)
        wide[0][:h], wide[1][:q, :h] = net.first / self.scale, second
        layers = tuple(SparseMatrix.from_dense(weights) for weights in wide)
        model = SparseMLP(layers, self.like.new_ones(1).expand(m))
        return model.to(self.like.device, self.like.dtype)
