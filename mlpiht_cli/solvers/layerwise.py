"""Depth two and more: train a one-hidden-layer network, keep its hidden layer, train the next one on its features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field, model_validator

from mlpiht_cli.core.method import Callback, Fit, MethodByBudget, Shape, Status
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import threads_for
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams


@dataclass(frozen=True)
class Layerwise:
    """Any depth from a solver of one hidden layer (P1; protocol, section 1).

    Each of the ``depth`` layers gets the budget ``s // depth``. A layer is trained as a whole network on the current
    features; its hidden weights are kept, its own output weights (several outputs) are dropped, and the features become
    ``relu(X W^T)``. The last layer's network is the prediction.
    """

    inner: LayeredSolver

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Fit one budget; see :meth:`~mlpiht_cli.core.method.MethodByBudget.fit`."""
        if budget < shape.depth:
            raise ValueError(f"the budget s={budget} is below one weight for each of the {shape.depth} hidden layers")
        kept: list[SparseMatrix] = []
        history: list[float] = []

        def on_step(step: int, loss: float) -> None:
            history.append(loss)
            callback(len(history), loss)

        for layer in range(shape.depth):
            fit = self.inner.fit_layer(problem, shape.m, budget // shape.depth, streams.for_layer(layer), on_step)
            if fit.status is Status.DIVERGED:
                reason = f"hidden layer {layer + 1}: {fit.reason}"
                fit = replace(fit, model=_silent(problem, shape, kept, fit.model), reason=reason)
                break
            if layer < shape.depth - 1:
                kept.append(fit.model.layers[0])
                features = fit.model.hidden(problem.x.to(fit.model.layers[0].values.dtype))
                problem = replace(problem, x=features, x_test=features, truth=None, truth_readout=None)
        else:
            fit = replace(fit, model=replace(fit.model, layers=(*kept, *fit.model.layers)))
        return replace(fit, budget=budget, iterations=len(history), history=tuple(history), settled=None)


def _silent(problem: Problem, shape: Shape, kept: list[SparseMatrix], empty: SparseMLP) -> SparseMLP:
    """The network of a fit that diverged: the right shape, no weights but those of the layers that held."""
    square = SparseMatrix.zeros(shape.m, shape.m, problem.x)
    rest = [square] * (shape.depth - len(kept) - 1)
    return replace(empty, layers=(*kept, empty.layers[0], *rest, *empty.layers[1:]))


def counts(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Name of the field that counts passes over the data, and of the one that does not."""
    return ("epochs", "steps") if settings.get("batch") else ("steps", "epochs")


class LayeredSolver(MethodByBudget):
    """A solver of one hidden layer, made one of any depth by :class:`Layerwise`.

    Passes over the data have one count: ``steps`` in full batch, ``epochs`` in minibatch form.
    """

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    steps: int | None = Field(None, ge=1, description="full-batch steps (default 15)")
    epochs: int | None = Field(None, ge=1, description="passes over the minibatches (default 15)")

    @property
    def passes(self) -> int:
        """Passes over the data."""
        return self.steps or self.epochs or 0

    @model_validator(mode="before")
    @classmethod
    def _one_count(cls, data: object) -> object:
        """Name the number of passes once."""
        if not isinstance(data, dict):
            return data
        wanted, other = counts(data)
        given = {name: data.get(name) for name in (wanted, other)}
        if given["steps"] is not None and wanted == "epochs":
            raise ValueError("the minibatch form counts epochs: set epochs, not steps")
        if None not in given.values() and given["steps"] != given["epochs"]:
            raise ValueError("in full batch an epoch is a step: set steps alone")
        count = given[wanted] if given[wanted] is not None else given[other]
        rest = {name: value for name, value in data.items() if name != other}
        return {**rest, wanted: 15 if count is None else count}

    @classmethod
    def merge(cls, settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Put overrides over settings; an override of ``epochs`` is one of ``steps`` in full batch."""
        merged = {**settings, **overrides}
        wanted, other = counts(merged)
        if wanted in overrides:
            merged.pop(other, None)
        elif wanted == "steps" and other in overrides:
            merged[wanted] = merged.pop(other)
        return merged

    @property
    def in_kernels(self) -> bool:
        """Whether most of the work is in compiled kernels, where there are any."""
        return True

    @abstractmethod
    def fit_layer(self, problem: Problem, m: int, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Fit a network with one hidden layer of ``m`` neurons."""

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Fit one budget; see :meth:`MethodByBudget.fit_path`."""
        with threads_for(problem.x.device) if self.in_kernels else nullcontext():
            if shape.depth == 1:
                return self.fit_layer(problem, shape.m, budget, streams, callback)
            return Layerwise(self).fit(problem, shape, budget, streams, callback)
