"""The fit loop: it runs a method's generator of steps and makes the fits.

A method yields a ``Step`` after each iteration and a ``Reached`` for each budget that it reaches
(:mod:`mlpiht_cli.core.fit`). The loop keeps the history, calls the callback, stops at the first step that is not
finite, notes when the support settles, and turns networks into fits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from mlpiht_cli.core.fit import Callback, Diverged, Events, Fact, Fit, Known, Reached, Status, Step
from mlpiht_cli.core.model import SparseMLP

Threads = Callable[[], AbstractContextManager[None]]
"""Makes a fresh context in which a method computes."""


class Trace:
    """What a run shows so far: losses, the step from which the support stays the same, and facts."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self._settled: int | None = None
        self._facts: dict[str, Fact] = {}
        self._of_layer: Counter[int] = Counter()
        self._shares: list[float] = []

    def add(self, step: Step) -> None:
        """Record a step."""
        self.losses.append(step.loss)
        self._shares.append(step.share)
        self._of_layer[step.layer] += 1
        if step.moved is not None:
            self._settled = len(self.losses) if step.moved else self._settled or 0

    def learn(self, known: Known) -> None:
        """Record facts that every fit of the run has."""
        self._facts |= known.facts

    def divergence(self, step: Step) -> Diverged:
        """Return what is wrong with the last step, which is not finite."""
        where = f"hidden layer {step.layer}: " if step.layer else ""
        return Diverged(f"{where}the loss or the weights left the finite numbers at step {self._of_layer[step.layer]}")

    def fit(self, reached: Reached, budget: int) -> Fit:
        """Return the fit of a network that answers a budget."""
        history = tuple(self.losses) if reached.history is None else reached.history
        return Fit(
            reached.predictor,
            budget,
            len(history) if reached.iterations is None else reached.iterations,
            settled=self._settled if reached.followed else None,
            history=history,
            facts={**self._facts, **reached.facts},
            moves=reached.moves,
            passes=self._passes(reached),
        )

    def _passes(self, reached: Reached) -> float:
        """Passes that a network took: as it says, else the gradient steps it spent, else the shares of its steps."""
        told = (reached.passes, reached.iterations)
        return next((round(float(one), 6) for one in told if one is not None), self.passes)

    @property
    def passes(self) -> float:
        """Passes over the training samples so far; a sum of rounded shares is rounded to what it stands for."""
        return round(math.fsum(self._shares), 6)

    def diverged(self, silent: SparseMLP, budget: int, why: Diverged) -> Fit:
        """Return the fit of a budget that has no network because the method diverged before it reached the budget."""
        history, facts = tuple(self.losses), dict(self._facts)
        reason, passes = str(why), self.passes
        return Fit(
            silent, budget, len(history), Status.DIVERGED, history=history, reason=reason, facts=facts, passes=passes
        )


def fits(
    events: Events, budgets: Sequence[int], silent: SparseMLP, callback: Callback, threads: Threads
) -> Iterator[Fit]:
    """Run a method and yield one fit per budget.

    Parameters
    ----------
    events
        The method's generator; it is closed at the end, however the end comes.
    budgets
        Budgets to answer, largest first.
    silent
        The network without weights: the model of a fit that diverged.
    callback
        See :data:`~mlpiht_cli.core.fit.Callback`.
    threads
        Makes the context of the computation; the loop leaves it before it yields a fit.
    """
    trace, waiting = Trace(), list(budgets)
    try:
        while waiting:
            with threads():
                found = _next_network(events, trace, callback, waiting)
            if isinstance(found, Diverged):
                events.close()  # the method may hold a context, which ends before a fit is scored
                yield from (trace.diverged(silent, budget, found) for budget in waiting)
                return
            for budget in waiting[:] if found.budget is None else [found.budget]:
                waiting.remove(budget)
                yield trace.fit(found, budget)
    finally:
        events.close()


def _next_network(events: Events, trace: Trace, callback: Callback, waiting: Sequence[int]) -> Reached | Diverged:
    """Run the method up to its next network, or to its divergence."""
    while True:
        try:
            event = next(events)
        except Diverged as why:
            return why
        except StopIteration:
            break
        if isinstance(event, Known):
            trace.learn(event)
        elif isinstance(event, Reached):
            if event.budget is None or event.budget in waiting:
                return event
            raise RuntimeError(f"the method answers the budget {event.budget}, which is none of {_listed(waiting)}")
        else:
            trace.add(event)
            callback(len(trace.losses), event.loss)
            if not event.finite:
                return trace.divergence(event)
    raise RuntimeError(
        f"the method ended without a network for the budgets {_listed(waiting)}: let iterate() yield "
        "Reached(model, budget) for each, also for one above the number of weights"
    )


def _listed(budgets: Sequence[int]) -> str:
    return ", ".join(map(str, budgets))
