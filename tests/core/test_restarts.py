"""Several random starts of a method: the best by training loss, budget by budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.starts import best_fits, training_loss
from mlpiht_cli.core.task import Axes
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.rng import Streams

STARTS = 4


@pytest.fixture(scope="module")
def problem() -> Problem:
    return TASKS["planted"](n=300, d=10).build(Axes(3, 8), Streams(1))


def mse(fit: Fit, problem: Problem) -> float:
    return float((fit.model.forward(problem.x) - problem.y).double().square().mean())


@pytest.mark.parametrize("name", ["iht", "imp", "mlp"])
def test_the_start_with_the_least_training_loss_is_kept(name: str, problem: Problem) -> None:
    kind, budgets = METHODS[name], [8, 5]
    streams = Streams(3)
    single = {
        (i, fit.budget): fit
        for i in range(STARTS)
        for fit in kind().fit_path(problem, Shape(3), budgets, streams.for_restart(i))
    }
    for fit in kind(starts=STARTS).fit_path(problem, Shape(3), budgets, streams):
        losses = [mse(single[i, fit.budget], problem) for i in range(STARTS)]
        assert len(set(losses)) > 1, "the starts differ"
        kept = losses.index(min(losses))
        assert fit.facts["start"] == kept
        assert fit.history == single[kept, fit.budget].history
        assert mse(fit, problem) == min(losses)


def test_one_start_is_the_plain_method(problem: Problem) -> None:
    plain = METHODS["iht"]().fit(problem, Shape(3), 8, Streams(3))
    (first,) = METHODS["iht"](starts=1).fit_path(problem, Shape(3), [8], Streams(3))
    assert plain.history == first.history
    assert "start" not in plain.facts


def test_a_method_that_draws_nothing_runs_once(problem: Problem) -> None:
    seen: list[int] = []
    method: Method = METHODS["iht_linear"](starts=STARTS, steps=2)
    method.fit(problem, Shape(1), 2, Streams(0), lambda iteration, loss: seen.append(iteration))
    assert seen == [1, 2]


def test_a_diverged_start_loses_to_a_finite_one_and_stands_if_all_diverge(problem: Problem) -> None:
    silent = SparseMLP.silent([10, 3, 1], problem.x)
    bad, good = Fit(silent, 8, 3, Status.DIVERGED, reason="it left"), Fit(silent, 8, 5)

    def runs(*fits: Fit) -> list[Iterator[Fit]]:
        return [iter([fit]) for fit in fits]

    (kept,) = best_fits(runs(bad, good), problem, 2)
    assert (kept.status, kept.iterations, kept.facts) == (Status.OK, 5, {"start": 1})
    (kept,) = best_fits(runs(bad, bad), problem, 2)
    assert (kept.status, kept.reason) == (Status.DIVERGED, "it left")


def test_no_network_and_a_loss_of_nan_are_the_worst(problem: Problem) -> None:
    assert training_loss(None, problem) == float("inf")
    broken = replace(problem, y=torch.full_like(problem.y, float("nan")))
    assert training_loss(SparseMLP.silent([10, 3, 1], problem.x), broken) == float("inf")
    assert training_loss(SparseMLP.silent([10, 3, 1], problem.x), problem) == pytest.approx(
        float(problem.y.double().square().mean())
    )
