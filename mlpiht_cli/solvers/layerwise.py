"""Deep networks: fit one hidden layer, keep it, and fit the next layer on its features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from mlpiht_cli.core.fit import Path, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


class OneLayer(Protocol):
    """A solver of networks with one hidden layer."""

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Path:
        """Fit a network with one hidden layer of ``m`` neurons; see :meth:`~mlpiht_cli.core.method.Method.iterate`."""


@dataclass(frozen=True)
class Layerwise:
    """Fits networks of any depth with a solver of one hidden layer (P1; protocol, section 1).

    Each of the ``depth`` layers gets the budget ``s // depth``. A layer is trained as a whole network on the current
    features. Its hidden weights are kept, its output weights (several outputs) are dropped, and the features become
    ``relu(X W^T)``. The network of the last layer makes the prediction.
    """

    inner: OneLayer

    def iterate(self, problem: Problem, shape: Shape, budget: int, streams: Streams) -> Path:
        """Fit one budget; see :meth:`~mlpiht_cli.core.method.Method.iterate`."""
        if shape.depth == 1:
            yield from self.inner.layer(problem, shape.m, budget, streams)
            return
        if budget < shape.depth:
            raise ValueError(f"the budget s={budget} is below one weight for each of the {shape.depth} hidden layers")
        kept: list[SparseMatrix] = []
        for layer in range(shape.depth):
            reached = None
            for event in self.inner.layer(problem, shape.m, budget // shape.depth, streams.for_layer(layer)):
                if isinstance(event, Step):
                    yield event._replace(moved=None, layer=layer + 1)
                else:
                    reached = event
            assert reached is not None, "a solver of one layer ends with its network"
            if layer == shape.depth - 1:
                model = replace(reached.model, layers=(*kept, *reached.model.layers))
                yield replace(reached, model=model)
                return
            kept.append(reached.model.layers[0])
            features = reached.model.hidden(problem.x)
            problem = replace(problem, x=features, x_test=features, truth=None, truth_readout=None)
