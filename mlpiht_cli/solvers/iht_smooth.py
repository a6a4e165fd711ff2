"""Iterative hard thresholding for any smooth loss of a flat weight vector (P2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from mlpiht_cli.core.method import (
    Callback,
    Fit,
    MethodByBudget,
    Precision,
    Shape,
    Status,
    Unpruned,
    finite,
    torch_dtype,
)
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.lipschitz import exact_at_zero, monte_carlo, sparse_vectors
from mlpiht_cli.linalg.smooth import LOSSES, Array, SmoothLoss
from mlpiht_cli.linalg.stability import ht_stability
from mlpiht_cli.linalg.threshold import hard_threshold
from mlpiht_cli.rng import Streams

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def descend(loss: SmoothLoss, theta: Array, s: int, step: float) -> Iterator[tuple[Array, float, Array]]:
    """Points of ``theta <- H_s(theta - step * gradient)`` from ``theta [N]`` on, each with its value and gradient.

    Every point counts at most s nonzeros, and with ``step <= 1 / L_2s`` none is above the one before (P2).
    """
    while True:
        value, gradient = loss.value_and_gradient(theta)
        yield theta, float(value), gradient
        theta = hard_threshold(theta - step * gradient, s)


class IHTSmooth(MethodByBudget):
    """Full-batch IHT with the fixed step 1 / L for one linear layer; all of its weights may be pruned.

    Every step costs one value and one gradient; with ``s`` = all weights it is gradient descent on the dense layer. The
    inputs' constant column, if there is one, makes the biases. Width and depth have no meaning here. Computed in
    float64 on the processor; ``dtype`` is that of the weights that come back.
    """

    version: ClassVar[int] = 1

    dtype: Precision = "float64"
    steps: int = Field(1500, ge=1, description="full-batch steps")
    ridge: float = Field(0.0, ge=0, allow_inf_nan=False, description="ridge / 2 times the squared norm joins the loss")
    lipschitz: Literal["bound", "exact_at_zero", "monte_carlo"] | Positive = Field(
        "bound", description="smoothness constant L of the step 1 / L: a bound, two estimates from below, or a number"
    )
    estimator: Literal["descent", "gradient"] = Field("descent", description="monte_carlo: (i) or (ii) of P2")
    samples: int = Field(1000, ge=1, le=1_000_000, description="monte_carlo: random pairs of s-sparse points")
    scale: Positive = Field(1.0, description="monte_carlo: standard deviation of the points' nonzeros")
    start: Literal["random", "zero"] = Field(
        "random", description="s standard normal weights at random places, or none"
    )
    tolerance: float = Field(1e-6, ge=0, allow_inf_nan=False, description="error of a gradient that passes for stable")

    @field_validator("lipschitz", mode="before")
    @classmethod
    def _word_or_number(cls, value: object) -> object:
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
        if not number and value not in ("bound", "exact_at_zero", "monte_carlo"):
            raise ValueError("must be bound, exact_at_zero, monte_carlo or a positive number")
        return value

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """One weight for every input and output."""
        return d * k

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Any loss that :data:`~mlpiht_cli.linalg.smooth.LOSSES` has."""
        return None if problem.loss in LOSSES else f"iht_smooth knows no derivatives of the loss {problem.loss}"

    @np.errstate(over="ignore", invalid="ignore")  # a loss that overflows is seen, and told as a divergence
    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Run IHT for one budget; see :meth:`MethodByBudget.fit_path`."""
        loss = LOSSES[problem.loss](problem.x, problem.y, self.ridge)
        facts = self._constants(loss, budget, streams) if loss.finite else {"lipschitz": 0.0}
        if not facts["lipschitz"]:
            return self._diverged(problem, loss, budget, [])
        path = descend(loss, self._start(loss, budget, streams), budget, facts["step_size"])
        theta, value, gradient = next(path)
        history, settled = list[float](), 0
        for step in range(1, self.steps + 1):
            history.append(value)
            callback(step, value)
            before, (theta, value, gradient) = theta, next(path)
            if not finite(history[-1], value):
                return self._diverged(problem, loss, budget, history)
            if ((before != 0) != (theta != 0)).any():
                settled = step
        ends = ht_stability(theta, gradient, budget, facts["step_size"], self.tolerance)
        parts = {"on_support_gradient": ends.on_support, "off_support_ratio": ends.off_ratio, "stable": ends.stable}
        model = self._model(problem, loss, theta)
        facts |= {"objective": value, **parts}
        return Fit(model, budget, self.steps, Status.OK, settled, tuple(history), facts=facts)

    def _constants(self, loss: SmoothLoss, s: int, streams: Streams) -> dict[str, float]:
        """Smoothness constants as far as they are asked for, and the step that follows; only L = 0 if there is none."""
        bound = loss.bound()
        known = {"lipschitz_bound": bound}
        match self.lipschitz:
            case "bound":
                chosen = bound
            case "exact_at_zero":
                chosen = exact_at_zero(loss, s)
            case "monte_carlo":
                pairs = streams.pairs()
                a, b = (self.scale * sparse_vectors(pairs, self.samples, loss.size, s) for _ in range(2))
                found = monte_carlo(loss, a, b)
                known |= {"lipschitz_descent": found.descent, "lipschitz_gradient": found.gradient}
                chosen = found.descent if self.estimator == "descent" else found.gradient
            case number:
                chosen = number
        return {**known, "lipschitz": chosen, "step_size": 1.0 / chosen} if chosen > 0 else {"lipschitz": 0.0}

    def _start(self, loss: SmoothLoss, s: int, streams: Streams) -> Array:
        if self.start == "zero":
            return np.zeros(loss.size)
        return sparse_vectors(streams.start(), 1, loss.size, s).ravel()

    def _model(self, problem: Problem, loss: SmoothLoss, theta: Array) -> SparseMLP:
        return SparseMLP((loss.matrix(theta).to(problem.x.device, torch_dtype(self.dtype)),))

    def _diverged(self, problem: Problem, loss: SmoothLoss, budget: int, history: list[float]) -> Fit:
        reason = "the loss left the finite numbers" if history else "the data are not finite, too large, or all zero"
        zero = self._model(problem, loss, np.zeros(loss.size))
        return Fit(zero, budget, len(history), Status.DIVERGED, history=tuple(history), reason=reason)


class GradientDescent(Unpruned, IHTSmooth):
    """IHT that keeps all weights: dense training at equal steps, the yardstick of P2."""

    version: ClassVar[int] = 1

    def fit_once(self, problem: Problem, shape: Shape, streams: Streams, callback: Callback) -> Fit:
        """Run IHT with a budget of all weights; see :meth:`Unpruned.fit_path`."""
        return self.fit(problem, shape, self.weights(problem.d, problem.k, shape), streams, callback)
