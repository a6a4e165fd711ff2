"""Passes over the training data: what every method reports, counted in one way."""

from __future__ import annotations

import pytest
import torch

from mlpiht_cli.core.fit import Fit, Reached, Step
from mlpiht_cli.core.loop import fits
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import threads_for
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.realloc.blocks import Samples
from mlpiht_cli.tasks.planted import Planted


def fitted(name: str, k: int = 1, m: int = 6, s: int = 10, **settings: object) -> Fit:
    problem = Planted(n=70, d=6, k=k).build(Axes(6, 10), Streams(0))
    return METHODS[name].model_validate(settings).fit(problem, Shape(m), s, Streams(0))


@pytest.mark.parametrize(
    ("name", "k", "settings", "passes"),
    [
        ("iht", 1, {"steps": 4}, 4),
        ("iht", 1, {"epochs": 4, "batch": 30}, 4),  # batches of 30, 30 and 10 samples
        ("iht_vector", 2, {"epochs": 4, "batch": 30}, 4),
        ("dense", 1, {"epochs": 5, "batch": 30}, 5),
        ("snip", 1, {"epochs": 5, "batch": 7}, 5.1),  # the scores take a batch
        ("synflow", 1, {"epochs": 5, "batch": 7}, 5),  # they take no data
        ("zero", 1, {}, 0),
    ],
)
def test_an_epoch_is_a_pass(name: str, k: int, settings: dict[str, object], passes: float) -> None:
    assert fitted(name, k, **settings).passes == passes


def test_imp_counts_all_rounds() -> None:
    fit = fitted("imp", s=30, epochs=3, batch=30)
    steps_a_round = 3 * 3
    assert fit.passes == 3 * fit.iterations / steps_a_round > 3


def test_the_search_counts_every_time_it_goes_over_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"residual": 0, "gradient": 0}
    for name in calls:
        original = getattr(Samples, name)

        def counted(self: Samples, blocks: object, original=original, name=name) -> object:  # type: ignore[no-untyped-def]
            calls[name] += 1
            return original(self, blocks)

        monkeypatch.setattr(Samples, name, counted)
    fit = fitted("iht_realloc", steps=4, rounds=3)
    assert fit.passes >= 4 + sum(calls.values()) > 10
    assert fit.passes > fit.iterations


def test_steps_of_a_share_sum_up_and_a_method_may_know_better() -> None:
    silent = SparseMLP.silent([2, 1, 1], torch.zeros(1))

    def run(*events: Step | Reached) -> float:
        (fit,) = fits(
            (event for event in events), [1], silent, lambda *_: None, lambda: threads_for(torch.device("cpu"))
        )
        return fit.passes

    thirds = [Step(1.0, share=1 / 3)] * 3
    assert run(*thirds, Reached(silent)) == 1.0
    assert run(*thirds, Reached(silent, iterations=7)) == 7.0
    assert run(*thirds, Reached(silent, iterations=7, passes=2.5)) == 2.5
    assert run(Step(1.0), Step(float("nan"))) == 2.0, "a run that diverges has its passes too"


def test_passes_are_in_the_row() -> None:
    from mlpiht_cli.engine.runner import Runner
    from mlpiht_cli.plan import single_cell
    from mlpiht_cli.plan.cells import Job
    from mlpiht_cli.specs.point import Point

    point = Point(panel="", task="planted", method="iht", label="iht", depth=1, m=3, s=5, seed=0)
    cell = single_cell(point, {"task.n": 50, "task.d": 6, "method.steps": 4})
    ((row, _),) = Runner(torch.device("cpu")).run(Job((cell,)))
    assert row.measures["passes"] == 4
