"""The fit loop: it runs a method's generator of steps and makes the fits.

A method yields a ``Step`` after each iteration and a ``Reached`` for each budget that it reaches
(:mod:`mlpiht_cli.core.fit`). The loop keeps the history, calls the callback, stops at the first step that is not
finite, notes when the support settles, and turns networks into fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from mlpiht_cli.core.fit import Callback, Diverged, Fit, Path, Reached, Status, Step
from mlpiht_cli.core.model import SparseMLP


class Threads(Protocol):
    """Makes the context in which a method computes."""

    def __call__(self) -> AbstractContextManager[None]:
        """Return a fresh context."""


class Trace:
    """Record of the steps so far: the losses, and the step from which the support stays the same."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._losses: list[float] = []
        self._settled: int | None = None
        self._of_layer: Counter[int] = Counter()

    def add(self, step: Step) -> None:
        """Record a step.

        Raises
        ------
        Diverged
            The loss or the network is not finite.
        """
        self._losses.append(step.loss)
        self._of_layer[step.layer] += 1
        if step.moved is not None:
            self._settled = len(self._losses) if step.moved else self._settled or 0
        self._callback(len(self._losses), step.loss)
        if not step.finite:
            where = f"hidden layer {step.layer}: " if step.layer else ""
            number = self._of_layer[step.layer]
            raise Diverged(f"{where}the loss or the weights left the finite numbers at step {number}")

    def fit(self, reached: Reached, budget: int) -> Fit:
        """Return the fit of a network that answers a budget."""
        history = tuple(self._losses) if reached.history is None else reached.history
        return Fit(
            reached.model,
            budget,
            len(history) if reached.iterations is None else reached.iterations,
            settled=self._settled if reached.followed else None,
            history=history,
            facts=reached.facts,
            moves=reached.moves,
        )

    def diverged(self, silent: SparseMLP, budget: int, why: Diverged) -> Fit:
        """Return the fit of a budget that has no network because the method diverged before it reached the budget."""
        history = tuple(self._losses)
        return Fit(silent, budget, len(history), Status.DIVERGED, history=history, reason=str(why))


def fits(path: Path, budgets: Sequence[int], silent: SparseMLP, callback: Callback, threads: Threads) -> Iterator[Fit]:
    """Run a method and yield one fit per budget.

    Parameters
    ----------
    path
        The method's generator.
    budgets
        Budgets to answer, largest first.
    silent
        The network without weights: the model of a fit that diverged.
    callback
        See :data:`~mlpiht_cli.core.fit.Callback`.
    threads
        Makes the context of the computation; the loop leaves it before it yields a fit.
    """
    trace, waiting = Trace(callback), list(budgets)
    try:
        while waiting:
            with threads():
                reached = _next_network(path, trace, waiting)
            answered = waiting[:] if reached.budget is None else [reached.budget]
            for budget in answered:
                waiting.remove(budget)
                yield trace.fit(reached, budget)
    except Diverged as why:
        for budget in waiting:
            yield trace.diverged(silent, budget, why)


def _next_network(path: Path, trace: Trace, waiting: Sequence[int]) -> Reached:
    """Run the method up to its next network."""
    for event in path:
        if isinstance(event, Reached):
            return event
        trace.add(event)
    raise RuntimeError(
        f"the method ended without a network for the budgets {', '.join(map(str, waiting))}: let iterate() yield "
        "Reached(model, budget) for each, also for one above the number of weights"
    )
