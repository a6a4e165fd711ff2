"""Deep networks: fit one hidden layer, keep it, and fit the next layer on its features."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Protocol

from mlpiht_cli.core.fit import Events, Known, Reached, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class OneLayer(Protocol):
    """A solver of networks with one hidden layer."""

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        """Fit a network with one hidden layer of ``m`` neurons; see :meth:`~mlpiht_cli.core.method.Method.iterate`."""


def _of_layer(path: Events, layer: int) -> Generator[Step | Known, None, Reached]:
    """Pass on the events of a layer's solver, its steps with the layer's number, and return its network."""
    for event in path:
        if isinstance(event, Reached):
            return event
        yield event._replace(moved=None, layer=layer) if isinstance(event, Step) else event
    raise RuntimeError("a solver of one hidden layer ends with its network: let layer() yield Reached(model)")


@dataclass(frozen=True)
class Layerwise:
    """Fits networks of any depth with a solver of one hidden layer (P1; protocol, section 1).

    Each of the ``depth`` layers gets the budget ``s // depth``. A layer is trained as a whole network on the current
    features. Its hidden weights are kept, its output weights (several outputs) are dropped, and the features become
    ``relu(X W^T)``. The network of the last layer makes the prediction.
    """

    inner: OneLayer

    def iterate(self, problem: Problem, shape: Shape, budget: int, streams: Streams) -> Events:
        """Fit one budget; see :meth:`~mlpiht_cli.core.method.Method.iterate`."""
        if shape.depth == 1:
            yield from self.inner.layer(problem, shape.m, budget, streams)
            return
        if budget < shape.depth:
            raise ValueError(f"the budget s={budget} is below one weight for each of the {shape.depth} hidden layers")
        kept: list[SparseMatrix] = []
        for layer in range(shape.depth):
            path = self.inner.layer(problem, shape.m, budget // shape.depth, streams.for_layer(layer))
            reached = yield from _of_layer(path, layer + 1)
            if layer == shape.depth - 1:
                model = replace(reached.model, layers=(*kept, *reached.model.layers))
                yield replace(reached, predictor=model)
                return
            kept.append(reached.model.layers[0])
            features = reached.model.hidden(problem.x)
            problem = replace(problem, x=features, x_test=features, truth=None, truth_readout=None)
