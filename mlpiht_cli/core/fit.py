"""What a method yields while it runs, and what a fit is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from mlpiht_cli.core.model import SparseMLP

Fact = float | int | bool | str


class Status(Enum):
    """How a fit ended."""

    OK = "ok"
    DIVERGED = "diverged"


class Diverged(Exception):
    """A method cannot go on, for a reason that no :class:`Step` shows; the message says why."""


@dataclass(frozen=True)
class Move:
    """What a search does besides gradient steps: at which entry of the history (from 1), and to how many neurons."""

    iteration: int
    name: str
    count: int


class Step(NamedTuple):
    """One iteration of a method.

    Attributes
    ----------
    loss
        Training loss before the step, of the batch where there are batches.
    check
        Any number that is finite only if the network after the step is: the sum of its weights, for instance.
    moved
        Whether the step changed the support; None where the method does not follow the support.
    layer
        Hidden layer that the step trains, from 1; 0 where there is one alone.
    """

    loss: float
    check: float = 0.0
    moved: bool | None = None
    layer: int = 0

    @property
    def finite(self) -> bool:
        """Whether loss and network are finite: the test for divergence."""
        return finite(self.loss, self.check)


@dataclass(frozen=True)
class Reached:
    """A network that answers a budget.

    Attributes
    ----------
    model
        The network.
    budget
        The budget it answers; None: every budget that has no answer yet.
    facts
        What only the method can know, by name: a step length, an estimate, a residual; never a score.
    moves
        What a search did, in order.
    followed
        Whether the steps tell of every change of the support.
    iterations
        Gradient steps spent, where they are not the steps yielded.
    history
        Losses, where the network comes from another run than the steps yielded.
    """

    model: SparseMLP
    budget: int | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    followed: bool = True
    iterations: int | None = None
    history: tuple[float, ...] | None = None


Path = Iterator[Step | Reached]
"""What a method yields: a step for each iteration, and a network for each budget that it reaches."""


@dataclass(frozen=True)
class Fit:
    """The network that a method returns for one budget.

    Attributes
    ----------
    model
        The network, with at most ``budget`` nonzeros; without any where the fit diverged.
    budget
        The budget ``s`` it answers.
    iterations
        Gradient steps spent to reach it, from the start of the trajectory.
    settled
        Iteration from which the support of the weights stays the same to the end ("convergence step" of P1's Tables 1
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
    facts: Mapping[str, Fact] = field(default_factory=dict)
    moves: tuple[Move, ...] = field(default=(), repr=False)


Callback = Callable[[int, float], None]
"""Takes each iteration's number (from 1) and training loss; may raise to stop the fit.

It is called at once on a processor. A baseline on a GPU calls it for a whole training run at the end of the run, since
a loss that is read makes the host wait.
"""


def ignore(iteration: int, loss: float) -> None:
    """Do nothing: the callback of those who want none."""


def finite(*values: float) -> bool:
    """Whether all values are finite."""
    return all(math.isfinite(value) for value in values)
