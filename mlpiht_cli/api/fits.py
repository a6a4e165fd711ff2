"""Fits and scores; nothing is scaled, split or added on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli import plan
from mlpiht_cli.api.problems import Data, check_whole, matrix, problem
from mlpiht_cli.core.fit import Callback, Status, ignore
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.core.scoring import Scores
from mlpiht_cli.core.scoring import evaluate as scores_of
from mlpiht_cli.core.starts import training_loss
from mlpiht_cli.errors import InputError, did_you_mean, shown
from mlpiht_cli.plan.objects import from_sets
from mlpiht_cli.rng import Streams


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit` returns.

    Attributes
    ----------
    model
        The network; it has no weights if the fit diverged.
    history
        Training loss before each step, float64 ``[steps]``.
    iterations
        Gradient steps.
    passes
        Passes over the training data.
    loss
        Loss of the network on the training data, computed in float64; infinite if the fit diverged.
    status, reason
        "ok", or "diverged" and why.
    facts
        Values that only the method knows, by name.
    """

    model: SparseMLP
    history: NDArray[np.float64]
    iterations: int
    passes: float
    loss: float
    status: str
    reason: str
    facts: dict[str, Any]

    def predict(self, x: Data) -> NDArray[np.float64]:
        """Return the outputs of the network for inputs ``[n, d]``: ``[n]``, or ``[n, k]`` of several outputs.

        Raises
        ------
        InputError
            The inputs are not numbers of that shape.
        """
        inputs = matrix(x, "x").double()
        if inputs.shape[1] != self.model.inputs:
            raise InputError(f"x has {inputs.shape[1]} columns, the network takes {self.model.inputs}")
        out = self.model.to("cpu", torch.float64).forward(inputs).numpy()
        return np.asarray(out[:, 0] if out.shape[1] == 1 else out)


def fit(
    x: Data | Problem,
    y: Data | None = None,
    method: str | Method = "iht",
    *,
    m: int,
    s: int,
    seed: int = 0,
    depth: int = 1,
    loss: Loss | None = None,
    callback: Callback = ignore,
    **settings: Any,
) -> Fitted:
    """Fit a sparse network to arrays, tensors or a problem, exactly as they are.

    Parameters
    ----------
    x, y
        Inputs ``[n, d]`` and targets ``[n]`` or ``[n, k]``; or a problem alone.
    method
        One of ``METHODS``, or an instance of such a class.
    m, s, depth
        Hidden width, budget of nonzero weights, and hidden layers.
    seed
        Seed of the method's random numbers.
    loss
        Loss of arrays, "squared" by default; a problem has its own.
    callback
        Called after each step with its number and the loss before it; it may raise to stop the fit.
    settings
        Fields of the method, such as ``steps`` and ``signs``.

    Raises
    ------
    InputError
        Data, a name or a value are wrong, or the method cannot treat the problem.
    """
    if isinstance(x, Problem):
        if y is not None or loss is not None:
            raise InputError("a problem has its targets and its loss: give neither y nor loss with it")
        given = x
    elif y is None:
        raise InputError("y is missing: give targets, or a problem in place of x")
    else:
        given = problem(x, y, loss=loss or "squared")
    check_whole({"m": m, "s": s, "depth": depth}, seed)
    solver, shape = _method(method, settings), Shape(m, depth)
    reason = solver.supports(given, shape)
    if reason is not None:
        raise InputError(reason)
    found = solver.fit(given, shape, s, Streams(seed), callback)
    typed = given.to(given.x.device, torch.float64)
    model = found.model if found.status is Status.OK else None
    final = training_loss(None if model is None else model.to(given.x.device, torch.float64), typed)
    history = np.array(found.history, dtype=np.float64)
    return Fitted(
        model=found.model,
        history=history,
        iterations=found.iterations,
        passes=found.passes,
        loss=final,
        status=found.status.value,
        reason=found.reason,
        facts=dict(found.facts),
    )


def evaluate(
    model: SparseMLP | Fitted, x: Data | Problem, y: Data | None = None, *, metric: str | None = None
) -> Scores | None:
    """Score a network on a problem's test data, or on arrays; None if its predictions are not finite.

    Parameters
    ----------
    model
        A network, or what :func:`fit` returned.
    x, y
        A problem alone, which has its metric; or inputs ``[n, d]`` and targets ``[n]`` or ``[n, k]``.
    metric
        Score of arrays, r2 by default.

    Raises
    ------
    InputError
        The data are wrong, or do not fit the network.
    """
    network = model.model if isinstance(model, Fitted) else model
    if isinstance(x, Problem):
        given = x
    elif y is None:
        raise InputError("y is missing: give targets, or a problem in place of x")
    else:
        given = problem(x, y, metric=metric)
    if given.d != network.inputs:
        raise InputError(f"the data have {given.d} columns, the network takes {network.inputs}")
    return scores_of(network, given.to(network.layers[0].values.device, network.dtype))


def load_model(path: str | Path) -> tuple[SparseMLP, dict[str, object]]:
    """Read a network and what was saved with it from a file of ``SparseMLP.save`` or ``mlpiht fit --save``.

    Raises
    ------
    InputError
        The file is none of mlpiht's.
    """
    return SparseMLP.load(Path(path))


def _method(method: str | Method, settings: dict[str, Any]) -> Method:
    if isinstance(method, Method):
        if settings:
            raise InputError(f"{', '.join(settings)}: a method that is made already has its settings")
        return method
    if method not in plan.METHODS:
        raise InputError(f"unknown method {shown(method)}{did_you_mean(str(method), plan.METHODS)}")
    return from_sets(plan.METHODS[method], settings, method)
