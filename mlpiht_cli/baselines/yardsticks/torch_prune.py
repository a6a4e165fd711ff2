"""A network with biases that torch trains and prunes: the pruning that a user of torch writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.baselines.training import initial_weights
from mlpiht_cli.core.fit import Diverged, Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor


class TorchPrune(Method):
    """Gradual magnitude pruning by ``torch.nn.utils.prune``: a dense network loses weights and trains on.

    The network has one hidden layer of m neurons with biases, which are free; weights of both layers count. ``Adam``
    trains it on all samples at once. After ``epochs`` dense epochs come ``rounds`` prunes, each of a constant share of
    the weights that are left, down to exactly s, and each followed by ``epochs`` more: weights keep their values, and
    nothing rewinds. The decay lets weights vanish that reach no output, so that prunes take them first. Constant inputs
    are left out, since the neurons have biases.
    """

    name: ClassVar[str] = "torch_prune"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(depth=1)

    epochs: int = Field(100, ge=1, description="epochs before each prune, and after the last one")
    rounds: int = Field(10, ge=1, description="number of prunes")
    lr: float = Field(0.01, gt=0, allow_inf_nan=False, description="Adam's step size")
    decay: float = Field(0.01, ge=0, allow_inf_nan=False, description="Adam's weight decay")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of both layers, without the biases."""
        return shape.m * (d + k)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train, prune and train on for one budget."""
        from torch.nn.utils import prune

        columns = torch.nonzero(problem.x.amax(0) - problem.x.amin(0)).flatten()
        x = problem.x[:, columns]
        network = _Network(len(columns), shape.m, problem, streams)
        left = total = shape.m * (len(columns) + problem.k)
        yield from self._trained(network, x, problem)
        counts = np.geomspace(total, min(budgets[0], total), self.rounds + 1).round().astype(int)
        for kept in counts[1:].tolist():
            prune.global_unstructured(network.pruned, prune.L1Unstructured, amount=left - kept)
            left = kept
            yield from self._trained(network, x, problem)
        for layer, name in network.pruned:
            prune.remove(layer, name)  # type: ignore[no-untyped-call]
        hidden = torch.zeros(shape.m, problem.d).to(x)
        hidden[:, columns] = network.hidden.weight.detach()
        bias, output = network.hidden.bias.detach().clone(), network.output.weight.detach()
        if not all(bool(part.isfinite().all()) for part in (hidden, bias, output)):
            raise Diverged("the weights left the finite numbers")
        yield Reached(SparseMLP((SparseMatrix.from_dense(hidden), SparseMatrix.from_dense(output)), bias=bias))

    def _trained(self, network: _Network, x: Tensor, problem: Problem) -> Iterator[Step]:
        """Train with a fresh optimiser; yield each step with the loss before it."""
        adam = torch.optim.Adam(network.parameters(), lr=self.lr, weight_decay=self.decay)
        for _ in range(self.epochs):
            adam.zero_grad()
            loss = LOSSES[problem.loss](network.forward(x), problem.y)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            yield Step(float(loss.detach()))


class _Network:
    """The network, with the initial weights of the seed's stream and biases of 0; its output layer has no bias."""

    def __init__(self, inputs: int, m: int, problem: Problem, streams: Streams) -> None:
        like, skip = problem.x, partial(torch.nn.utils.skip_init, torch.nn.Linear)  # torch draws no numbers
        self.hidden = skip(inputs, m, device=like.device, dtype=like.dtype)
        self.output = skip(m, problem.k, bias=False, device=like.device, dtype=like.dtype)
        self.pruned = [(self.hidden, "weight"), (self.output, "weight")]
        start = initial_weights([inputs, m, problem.k], streams.initial_weights())
        with torch.no_grad():
            self.hidden.bias.zero_()
            for (layer, _), weight in zip(self.pruned, start, strict=True):
                layer.weight.copy_(weight)

    def parameters(self) -> list[Tensor]:
        """Return what is trained."""
        return [*self.hidden.parameters(), *self.output.parameters()]

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions ``[n, k]``."""
        prediction: Tensor = self.output(self.hidden(x).relu())
        return prediction
