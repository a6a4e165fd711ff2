"""The events that a method yields while it runs, and the fit that comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.predictor import Predictor

Fact = float | int | bool | str


class Status(Enum):
    """How a fit ended."""

    OK = "ok"
    DIVERGED = "diverged"


class Diverged(Exception):
    """The method cannot go on; no :class:`Step` shows the reason, so the message gives it."""


@dataclass(frozen=True)
class Move:
    """An action of a search that is not a gradient step.

    Attributes
    ----------
    iteration
        Entry of the history at which it happened, from 1.
    name
        Name of the action.
    count
        Number of neurons it concerned.
    """

    iteration: int
    name: str
    count: int


class Step(NamedTuple):
    """One iteration of a method.

    Attributes
    ----------
    loss
        Training loss before the step; the loss of the batch if there are batches.
    check
        A number that is finite only if the network after the step is finite, for example the sum of its weights.
    moved
        Whether the step changed the support; None if the method does not follow the support.
    layer
        Hidden layer that the step trains, from 1; 0 if there is only one.
    network
        Makes the network after the step, or after the step of a layer; None if the method does not offer it.
    share
        Passes over the training samples that the step takes: 1, or the share of the samples in its batch.
    """

    loss: float
    check: float = 0.0
    moved: bool | None = None
    layer: int = 0
    network: Callable[[], SparseMLP] | None = None
    share: float = 1.0

    @property
    def finite(self) -> bool:
        """Whether the loss and the network are finite: the test for divergence."""
        return finite(self.loss, self.check)


@dataclass(frozen=True)
class Reached:
    """A network, or another predictor, that answers a budget.

    Attributes
    ----------
    predictor
        The network, or a model that is none; see :attr:`model`.
    budget
        The budget it answers; None: every budget that has no answer yet.
    facts
        Values that only the method knows, by name: a step length, an estimate, a residual; never a score.
    moves
        Actions of a search, in order.
    followed
        Whether the steps report every change of the support.
    iterations
        Gradient steps spent, if that differs from the number of steps yielded.
    history
        Losses, if the network comes from a different run than the steps yielded.
    passes
        Passes over the training samples, if they differ from the sum of the steps' shares.
    """

    predictor: Predictor
    budget: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    followed: bool = True
    iterations: int | None = None
    history: tuple[float, ...] | None = None
    passes: float | None = None

    @property
    def model(self) -> SparseMLP:
        """The network; see :func:`network`."""
        return network(self.predictor)


@dataclass(frozen=True)
class Known:
    """Facts that a method knows before its networks; a fit that diverges has them too."""

    facts: Mapping[str, Fact]


Events = Generator[Step | Known | Reached, None, None]
"""The events of a method: a step for each iteration, and a network for each budget that it reaches."""


@dataclass(frozen=True)
class Fit:
    """The network, or another predictor, that a method returns for one budget.

    Attributes
    ----------
    predictor
        The network, with at most ``budget`` nonzeros (none if the fit diverged), or a model that is no network; see
        :attr:`model`.
    budget
        The budget ``s`` it answers.
    iterations
        Gradient steps spent to reach it, from the start of the trajectory.
    settled
        Iteration from which the support of the weights stays the same to the end ("convergence step" of P1's Tables 1
        and 2); None if the method does not follow the support.
    history
        Training loss before each step (the loss of the batch if there are batches); for IMP, all rounds in a row.
    reason
        Why the fit diverged; empty otherwise.
    facts
        Values that only the method knows, by name: a step length, an estimate, a residual; never a score.
    moves
        Actions of a search, in order.
    passes
        Times that the method passed over the training samples for a gradient, from the start of the trajectory.
    """

    predictor: Predictor
    budget: int
    iterations: int
    status: Status = Status.OK
    settled: int | None = None
    history: tuple[float, ...] = field(default=(), repr=False)
    reason: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    moves: tuple[Move, ...] = field(default=(), repr=False)
    passes: float = 0.0

    @property
    def model(self) -> SparseMLP:
        """The network; see :func:`network`."""
        return network(self.predictor)


def network(predictor: Predictor) -> SparseMLP:
    """Return a predictor that is a network.

    Raises
    ------
    TypeError
        It is none, so that it has no weights to read, save or draw.
    """
    if not isinstance(predictor, SparseMLP):
        raise TypeError(f"{type(predictor).__name__} only predicts: it is no network, and has no weights")
    return predictor


Callback = Callable[[int, float], None]
"""Receives the number of each iteration (from 1) and its training loss; it may raise to stop the fit.

On a CPU the call follows each iteration at once. A baseline on a GPU makes the calls of a training run at the end of
the run, because the host has to wait for the GPU to read a loss.
"""


def ignore(iteration: int, loss: float) -> None:
    """Do nothing. This is the default callback."""


def finite(*values: float) -> bool:
    """Whether all values are finite."""
    return all(math.isfinite(value) for value in values)
