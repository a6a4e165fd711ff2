"""GraSP: prune the initial network so that the gradient flow after pruning is largest, then train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field

from mlpiht_cli.baselines.networks import predicted
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.core.fit import Events, Step
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


def gradient_flow(weights: Sequence[Tensor], problem: Problem, temperature: float) -> tuple[list[Tensor], float]:
    """Return ``w * H g``, half of what each weight adds to the squared norm of the gradient, and the loss.

    Removing a weight changes ``|g|^2`` by ``-2 w H g`` to first order (Wang et al., 2020, eq. 8, with the other sign).

    Parameters
    ----------
    weights
        Weights of the layers, each ``[out, in]``.
    problem
        The samples of a batch are its training data.
    temperature
        Number that the predictions are divided by.
    """
    leaves = [weight.clone().requires_grad_() for weight in weights]
    loss = LOSSES[problem.loss](predicted(leaves, problem.x) / temperature, problem.y)
    slopes = torch.autograd.grad(loss, leaves, create_graph=True)
    flow = torch.stack([(slope.detach() * slope).sum() for slope in slopes]).sum()
    curved = torch.autograd.grad(flow, leaves)
    return [weight * part for weight, part in zip(weights, curved, strict=True)], float(loss.detach())


class GraSP(SparseTraining, Method):
    """Gradient signal preservation (Wang, Zhang and Grosse, Picking winning tickets before training, ICLR 2020).

    The scores come from one batch and the initial weights. Logits are divided by a temperature, 200 in the paper, so
    that they hardly matter; numbers are not, because that would leave the zero prediction.
    """

    name: ClassVar[str] = "grasp"
    version: ClassVar[int] = 1

    temperature: float = Field(200.0, gt=0, allow_inf_nan=False, description="divides the logits of classes")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Prune before training, then train for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        batch = network.batch()
        temperature = self.temperature if problem.loss == "cross_entropy" else 1.0
        scores, loss = gradient_flow(network.weights, batch, temperature)
        yield Step(loss, share=2.0 * batch.n / problem.n)  # the Hessian's product is another pass
        network.keep_best(scores[: network.counted], budgets[0])
        yield from network.finish(budgets[0], network.steps)
