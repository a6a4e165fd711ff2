"""Networks with biases trained by SGD or Adam, on all inputs or on a few: compared with feature learning (P3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.baselines.optimisers import SGD, Adam
from mlpiht_cli.baselines.training import Trainer
from mlpiht_cli.core.fit import Events, Known, Reached
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.selection import Rule, coordinate_scores, true_coordinates
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


class MLP(Method):
    """A ReLU network of one hidden layer with biases; minibatches train both layers.

    The mask sets which inputs the hidden layer uses: all, the ``keep * s`` with the largest gradient at neurons
    ``+-e_j`` (pruned, by ``rule``), or the true ones (oracle; only this mask uses the truth).

    SGD depends only on inner products: if inputs and initial weights are rotated together, its network rotates with
    them. Adam scales every weight by its own gradients, so it depends on the basis, as pruning does.
    """

    name: ClassVar[str] = "mlp"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(depth=1)
    keeps_budget: ClassVar[bool] = False

    optimizer: Literal["adam", "sgd"] = "adam"
    mask: Literal["none", "pruned", "oracle"] = Field("none", description="inputs that the hidden layer uses")
    rule: Rule = Field("even", description="score by which the pruned mask chooses coordinates")
    keep: int = Field(2, ge=1, description="number of kept coordinates, as a multiple of s")
    batch: int = Field(64, ge=0, description="samples per step; 0 is the full batch")
    epochs: int = Field(30, ge=1, description="passes over the data")
    lr: float = Field(3e-3, gt=0, description="step size")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of both layers, without the biases."""
        return shape.m * (d + k)

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one hidden layer; the oracle also needs planted directions, and pruning needs one output."""
        if self.mask == "pruned" and problem.k != 1:
            return "the mask 'pruned' needs one output"
        if self.mask == "oracle" and problem.directions is None:
            return "the mask 'oracle' needs a task with planted directions, such as index_model"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Mask and train for one budget."""
        kept = self._kept(problem, self.keep * budgets[0])
        yield Known({"kept": len(kept)})
        # A constant input makes its weights biases.
        biased = replace(problem, x=torch.cat([problem.x, torch.ones_like(problem.x[:, :1])], dim=1))
        trainer = Trainer(biased, shape, streams, self.batch, reshuffles=True)
        first, second = (torch.ones_like(weight, dtype=torch.bool) for weight in trainer.initial)
        first[:, :-1] = False
        first[:, kept] = True
        make = Adam if self.optimizer == "adam" else SGD
        hidden, output = yield from trainer.train([first, second], self.epochs, self.lr, make)
        layers = (SparseMatrix.from_dense(hidden[:, :-1]), SparseMatrix.from_dense(output))
        yield Reached(SparseMLP(layers, bias=hidden[:, -1].clone()))

    def _kept(self, problem: Problem, count: int) -> Tensor:
        """Return the inputs that the mask keeps, int64 ascending; float32, the precision of the data, decides."""
        if self.mask == "pruned":
            x, y = problem.x.float(), problem.y[:, 0].float()
            return top_s(coordinate_scores(x, y - y.mean(), self.rule), count)
        if self.mask == "oracle":
            return true_coordinates(problem.directions, count).to(problem.x.device)
        return torch.arange(problem.d, device=problem.x.device)
