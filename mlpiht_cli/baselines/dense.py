"""Dense training: the unpruned network as a yardstick."""

from __future__ import annotations

from typing import ClassVar

import torch

from mlpiht_cli.baselines.training import Trained, Trainer
from mlpiht_cli.core.method import Callback, Fit, Shape, Status, Unpruned
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class Dense(Unpruned, Trained):
    """Adam on all weights, no biases: what IMP starts from, trained once and never pruned."""

    version: ClassVar[int] = 1

    def fit_once(self, problem: Problem, shape: Shape, streams: Streams, callback: Callback) -> Fit:
        """Train all weights; see :meth:`Unpruned.fit_path`."""
        trainer = Trainer(problem, shape, streams, self.batch, self.dtype)
        masks = [torch.ones_like(weight, dtype=torch.bool) for weight in trainer.initial]
        weights, diverged = trainer.train(masks, self.epochs, self.lr, callback)
        layers = tuple(SparseMatrix.from_dense(torch.zeros_like(w) if diverged else w) for w in weights)
        status = Status.DIVERGED if diverged else Status.OK
        history = tuple(trainer.history)
        budget = sum(weight.numel() for weight in weights)
        return Fit(SparseMLP(layers), budget, len(history), status, history=history, reason=diverged)
