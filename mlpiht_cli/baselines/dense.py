"""Dense training: the unpruned network as a yardstick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch

from mlpiht_cli.baselines.training import Trained, Trainer
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.method import Callback, Fit, Shape, Status, ignore
from mlpiht_cli.model import SparseMLP
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams


class Dense(Trained):
    """Adam on all weights, no biases: what IMP starts from, trained once and never pruned.

    It keeps no budget: every budget gets the same network, whose nonzeros the row counts.
    """

    version: ClassVar[int] = 1
    keeps_budget: ClassVar[bool] = False

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
