"""Several random starts of a method: the network with the least training loss is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import LOSSES, Problem


def training_loss(model: SparseMLP | None, problem: Problem) -> float:
    """Return the loss on the training data, summed in float64; infinite without a network or with a loss of nan."""
    if model is None:
        return math.inf
    prediction = model.forward(problem.x)
    loss = float(LOSSES[problem.loss](prediction.double(), problem.y.double()))
    return math.inf if math.isnan(loss) else loss


def best_fits(runs: Iterable[Iterator[Fit]], problem: Problem, count: int) -> Iterator[Fit]:
    """Yield one fit per budget: the best of several runs by training loss, one run for each start.

    A single run is passed on as it goes. The runs go one after the other, and all answer the same budgets in the same
    order.
    """
    if count == 1:
        for run in runs:
            yield from run
        return
    best: dict[int, tuple[int, Fit]] = {}
    loss: dict[int, float] = {}
    for start, run in enumerate(runs):
        for fit in run:
            found = training_loss(fit.model if fit.status is Status.OK else None, problem)
            if fit.budget not in best or found < loss[fit.budget]:
                best[fit.budget], loss[fit.budget] = (start, fit), found
    for start, fit in best.values():
        yield replace(fit, facts={**fit.facts, "start": start})
