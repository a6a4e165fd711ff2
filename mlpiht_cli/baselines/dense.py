"""Dense training: the unpruned network as a yardstick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from mlpiht_cli.baselines.training import Trainer, Training
from mlpiht_cli.core.fit import Events, Reached
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class Dense(Training, Method):
    """Adam on all weights without biases: the network that IMP starts from, trained once and never pruned."""

    name: ClassVar[str] = "dense"
    version: ClassVar[int] = 2
    keeps_budget: ClassVar[bool] = False

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train all weights; the network answers every budget."""
        trainer = Trainer(problem, shape, streams, self.batch)
        masks = [torch.ones_like(weight, dtype=torch.bool) for weight in trainer.initial]
        weights = yield from trainer.train(masks, self.epochs, self.lr)
        yield Reached(SparseMLP(tuple(SparseMatrix.from_dense(weight) for weight in weights)))
