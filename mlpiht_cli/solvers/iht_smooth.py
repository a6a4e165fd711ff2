"""Iterative hard thresholding for any smooth loss of a flat weight vector (P2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from mlpiht_cli.core.fit import Diverged, Events, Reached, Step
from mlpiht_cli.core.method import Method, Precision, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.linalg.lipschitz import exact_at_zero, monte_carlo, sparse_vectors
from mlpiht_cli.linalg.smooth import SMOOTH_LOSSES, Array, SmoothLoss
from mlpiht_cli.linalg.stability import ht_stability
from mlpiht_cli.linalg.threshold import hard_threshold
from mlpiht_cli.rng import Streams

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def descend(loss: SmoothLoss, theta: Array, s: int, step: float) -> Iterator[tuple[Array, float, Array]]:
    """Yield the points of ``theta <- H_s(theta - step * gradient)`` from ``theta [N]`` on, with value and gradient.

    Every point has at most s nonzeros. With ``step <= 1 / L_2s`` the value never rises (P2).
    """
    while True:
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that overflows is reported as a divergence
            value, gradient = loss.value_and_gradient(theta)
        yield theta, float(value), gradient
        with np.errstate(over="ignore", invalid="ignore"):
            theta = hard_threshold(theta - step * gradient, s)


class SmoothDescent(Settings):
    """Settings and steps of full-batch IHT with the fixed step 1 / L.

    It computes in float64 on the CPU; ``dtype`` is the dtype of the returned weights.
    """

    dtype: Precision = "float64"
    steps: int = Field(1500, ge=1, description="full-batch steps")
    ridge: float = Field(0.0, ge=0, allow_inf_nan=False, description="weight of half the squared norm in the loss")
    lipschitz: Literal["bound", "exact_at_zero", "monte_carlo"] | Positive = Field(
        "bound", description="smoothness constant L of the step 1 / L: an upper bound, two lower estimates, or a number"
    )
    estimator: Literal["descent", "gradient"] = Field(
        "descent", description="monte_carlo: L from the quadratic bound (descent) or from differences of gradients"
    )
    samples: int = Field(1000, ge=1, le=1_000_000, description="monte_carlo: random pairs of s-sparse points")
    scale: Positive = Field(1.0, description="monte_carlo: standard deviation of the points' nonzeros")
    start: Literal["random", "zero"] = Field(
        "random", description="first point: s standard normal weights at random places, or zero"
    )
    tolerance: float = Field(1e-6, ge=0, allow_inf_nan=False, description="gradient error allowed at a stable point")

    @field_validator("lipschitz", mode="before")
    @classmethod
    def _word_or_number(cls, value: object) -> object:
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
        if not number and value not in ("bound", "exact_at_zero", "monte_carlo"):
            raise ValueError("must be bound, exact_at_zero, monte_carlo or a positive number")
        return value

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return one weight per input and output."""
        return d * k

    def descent(self, problem: Problem, s: int, streams: Streams) -> Events:
        """Run IHT with at most ``s`` nonzeros."""
        with np.errstate(over="ignore", invalid="ignore"):
            loss = SMOOTH_LOSSES[problem.loss](problem.x, problem.y, self.ridge)
            facts = self._constants(loss, s, streams) if loss.finite else {"lipschitz": 0.0}
        if not facts["lipschitz"]:
            raise Diverged("the data are not finite, too large, or all zero")
        path = descend(loss, self._start(loss, s, streams), s, facts["step_size"])
        theta, value, gradient = next(path)
        for _ in range(self.steps):
            before, start = value, theta
            theta, value, gradient = next(path)
            yield Step(before, value, bool(((start != 0) != (theta != 0)).any()))
        with np.errstate(over="ignore", invalid="ignore"):
            ends = ht_stability(theta, gradient, s, facts["step_size"], self.tolerance)
        parts = {"on_support_gradient": ends.on_support, "off_support_ratio": ends.off_ratio, "stable": ends.stable}
        layer = loss.matrix(theta).to(problem.x.device, problem.x.dtype)
        yield Reached(SparseMLP((layer,)), facts={**facts, "objective": value, **parts})

    def _constants(self, loss: SmoothLoss, s: int, streams: Streams) -> dict[str, float]:
        """Return the smoothness constants that the settings need, and the step; only L = 0 if there is no step."""
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


class IHTSmooth(SmoothDescent, Method):
    """Full-batch IHT with the fixed step 1 / L for one linear layer; all of its weights may be pruned.

    Every step costs one value and one gradient. With ``s`` equal to the number of weights it is gradient descent on the
    dense layer. A constant input column, if there is one, provides the biases. Width and depth have no effect.
    """

    name: ClassVar[str] = "iht_smooth"
    version: ClassVar[int] = 1

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget."""
        return self.descent(problem, budgets[0], streams)


class GradientDescent(SmoothDescent, Method):
    """IHT that keeps all weights: dense training with the same steps, which P2 compares IHT with."""

    name: ClassVar[str] = "gradient_descent"
    version: ClassVar[int] = 1
    shares_trajectory: ClassVar[bool] = True
    keeps_budget: ClassVar[bool] = False

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT with a budget of all weights; its network answers every budget."""
        return self.descent(problem, self.weights(problem.d, problem.k, shape), streams)
