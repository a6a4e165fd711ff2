"""Dense training: the unpruned network as a yardstick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.training import Trainer, layer_sizes
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.method import Callback, Fit, Method, Shape, Status, ignore
from mlpiht_cli.model import SparseMLP
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams


class Dense(Method):
    """Adam on all weights, no biases: what IMP starts from, trained once and never pruned.

    It keeps no budget: every budget gets the same network, whose nonzeros the row counts.
    """

    version: ClassVar[int] = 1
    shares_trajectory: ClassVar[bool] = True
    unhinted: ClassVar[frozenset[str]] = frozenset({"dtype"})  # torch trains in float32, and so does the reference code
    keeps_budget: ClassVar[bool] = False

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(15, ge=1, description="passes over the data")
    lr: float = Field(1e-3, gt=0, description="Adam's step size")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """All layers' weights."""
        return sum(a * b for a, b in pairwise(layer_sizes(d, k, shape)))

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Any problem and depth."""
        return None

    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield the one network for every budget, largest budget first."""
        trainer = Trainer(problem, shape, streams, self.batch, self.dtype)
        masks = [torch.ones_like(weight, dtype=torch.bool) for weight in trainer.initial]
        weights, diverged = trainer.train(masks, self.epochs, self.lr, callback)
        layers = [SparseMatrix.from_dense(torch.zeros_like(w) if diverged else w) for w in weights]
        status = Status.DIVERGED if diverged else Status.OK
        history = tuple(trainer.history)
        for budget in sorted(set(budgets), reverse=True):
            model = SparseMLP(tuple(layers))
            yield Fit(model, budget, len(history), status, history=history, reason=diverged)
