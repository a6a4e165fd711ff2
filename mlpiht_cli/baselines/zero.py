"""The network without weights: what any fit has to beat."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch

from mlpiht_cli.baselines.training import all_weights, layer_sizes
from mlpiht_cli.core.method import Callback, Fit, MethodByBudget, Shape, Status, finite, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class Zero(MethodByBudget):
    """Answers 0 (of classes: the first), whatever the input. Draws no random numbers.

    The PSNR of such a network is far from 0 dB where the labels have rare peaks, as planted ones have.
    """

    version: ClassVar[int] = 1

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """All layers' weights."""
        return all_weights(d, k, shape)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Any problem and depth."""
        return None

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Return the network of zeros; see :meth:`MethodByBudget.fit_path`."""
        problem = problem.to(problem.x.device, torch_dtype(self.dtype))
        sizes = pairwise(layer_sizes(problem.d, problem.k, shape))
        model = SparseMLP(tuple(SparseMatrix.zeros(out, into, problem.x) for into, out in sizes))
        loss = float(LOSSES[problem.loss](torch.zeros_like(problem.y), problem.y))
        callback(1, loss)
        if not finite(loss):
            return Fit(model, budget, 0, Status.DIVERGED, reason="the data are not finite, or too large")
        return Fit(model, budget, 0, history=(loss,))
