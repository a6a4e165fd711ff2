"""The contract of solvers and baselines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import canonical

Precision = Literal["float32", "float64"]


class Status(Enum):
    """How a fit ended."""

    OK = "ok"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Shape:
    """Shape of the student network: hidden width ``m`` and number of hidden layers ``depth``."""

    m: int
    depth: int = 1


@dataclass(frozen=True)
class Move:
    """What a search did beside its gradient steps, at an entry of the history (from 1), and to how many neurons."""

    iteration: int
    name: str
    count: int


@dataclass(frozen=True)
class Fit:
    """What a method returns for one budget.

    Attributes
    ----------
    model
        The network, with at most ``budget`` nonzeros.
    budget
        The budget ``s`` it answers.
    iterations
        Gradient steps spent to reach it, from the start of the trajectory.
    settled
        Iteration from which the support of the weights stayed the same to the end ("convergence step" of P1's Tables 1
        and 2); None where the method does not follow it.
    history
        Training loss before each step, of the batch where there are batches; IMP: all rounds in a row.
    reason
        Why it diverged, empty otherwise.
    facts
        What only the method can know, by name: a step length, an estimate, a residual; never a score.
    moves
        What a search did, in order.
    """

    model: SparseMLP
    budget: int
    iterations: int
    status: Status = Status.OK
    settled: int | None = None
    history: tuple[float, ...] = field(default=(), repr=False)
    reason: str = ""
    facts: Mapping[str, float | int | bool | str] = field(default_factory=dict)
    moves: tuple[Move, ...] = field(default=(), repr=False)


Callback = Callable[[int, float], None]
"""Called with each iteration's number (from 1) and training loss; may raise to stop the fit.

At once on a processor; a baseline on a GPU calls it for a whole training run at its end, since a loss that is read
makes the host wait.
"""


def ignore(iteration: int, loss: float) -> None:
    """Do nothing: the callback of those who want none."""


class Method(Settings, ABC):
    """A solver or baseline: its fields are its settings, and the instance never changes.

    A method is told the problem, the shape and the budgets; it never scores itself and knows no task.
    """

    version: ClassVar[int]
    """Raised by hand when results change; part of every cell's key."""
    shares_trajectory: ClassVar[bool] = False
    """Whether one run passes every budget, so that budgets of equal problems are run together."""

    keeps_budget: ClassVar[bool] = True
    """Whether a network has at most ``budget`` nonzeros; only a yardstick may have more."""

    unhinted: ClassVar[frozenset[str]] = frozenset()
    """Settings for which the method keeps its own default, whatever suits the task."""

    dtype: Precision = "float32"

    @cached_property
    def fingerprint(self) -> str:
        """The settings as JSON, for the cell's key."""
        return canonical(self.told())

    @classmethod
    def merge(cls, settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return a spec's settings with overrides (profile, ``--set``) put over them."""
        return {**settings, **overrides}

    @abstractmethod
    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Number of weights that the method counts, all of them trainable."""

    @abstractmethod
    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Return why the method cannot treat the problem, or None."""

    @abstractmethod
    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield one fit per budget, largest budget first; a budget's result ignores the other budgets."""


class MethodByBudget(Method):
    """A method that runs anew for each budget."""

    @abstractmethod
    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback) -> Fit:
        """Fit one budget."""

    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield the fits of :meth:`fit`, largest budget first."""
        for budget in sorted(set(budgets), reverse=True):
            yield self.fit(problem, shape, budget, streams, callback)


class Unpruned(ABC):
    """A yardstick that prunes nothing: one network, whose nonzeros the row counts, answers every budget.

    Put before the method it is made of. No :class:`Method` itself, whose defaults would hide those of that method.
    """

    shares_trajectory: ClassVar[bool] = True
    keeps_budget: ClassVar[bool] = False

    @abstractmethod
    def fit_once(self, problem: Problem, shape: Shape, streams: Streams, callback: Callback) -> Fit:
        """Fit the network; the budget it names does not count."""

    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield the network of :meth:`fit_once` for every budget, largest budget first."""
        fit = self.fit_once(problem, shape, streams, callback)
        for budget in sorted(set(budgets), reverse=True):
            yield replace(fit, budget=budget)


def finite(*values: float) -> bool:
    """Whether all values are finite: the test for divergence."""
    return all(math.isfinite(value) for value in values)


def torch_dtype(name: Precision) -> torch.dtype:
    """Return torch's type of that name."""
    found: torch.dtype = getattr(torch, name)
    return found
