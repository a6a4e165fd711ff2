"""IHT whose first steps keep more weights than the budget."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from mlpiht_cli import plan
from mlpiht_cli.core.fit import Fit, Status, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.specs.point import Point
from mlpiht_cli.tasks.planted import Planted

M, S, D = 5, 5, 8


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND, request.param)


def planted(n: int = 300) -> Problem:
    return Planted(n=n, d=D).build(Axes(M, 20), Streams(0))


def run(problem: Problem, s: int = S, depth: int = 1, m: int = M, **settings: Any) -> Fit:
    return IHT.model_validate(settings).fit(problem, Shape(m, depth), s, Streams(0))


def kept(problem: Problem, s: int = S, **settings: Any) -> list[int]:
    """Nonzeros after each step; the target has more, so that each step keeps all it may."""
    events = IHT.model_validate(settings).iterate(problem, Shape(M), [s], Streams(0))
    return [one.network().nnz for one in events if isinstance(one, Step) and one.network is not None]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [5] * 10),
        ({"relax": 4}, [20] * 6 + [5] * 4),
        ({"relax": 1.5, "relax_share": 0.25}, [8] * 2 + [5] * 8),
        ({"relax": 4, "schedule": "geometric"}, [20, 16, 13, 10, 8, 6] + [5] * 4),
        ({"relax": 8, "schedule": "geometric", "relax_share": 0.3, "gates": "fixed"}, [40, 20, 10] + [5] * 7),
        ({"relax": 2, "relax_share": 1}, [10] * 9 + [5]),
        ({"relax": 100, "relax_share": 0.1, "gates": "fixed"}, [M * D] + [5] * 9),
    ],
)
def test_each_step_keeps_what_the_schedule_says(settings: dict[str, Any], expected: list[int]) -> None:
    assert kept(planted(), steps=10, **settings) == expected


def test_a_budget_is_within_the_weights_and_never_below_s() -> None:
    wide = IHT(relax=100.0, schedule="geometric")
    assert [wide.budget(t, 10, 5, 40) for t in range(10)] == [40, 40, 40, 40, 23, 11, 5, 5, 5, 5]
    assert [wide.budget(t, 10, 60, 40) for t in range(10)] == [60] * 10
    assert IHT(relax=1e308).budget(0, 10, 1000, 40) == 1000


def test_minibatches_count_as_steps() -> None:
    """Three batches in each of four epochs; .5 of them have a larger budget."""
    found = kept(planted(), batch=125, epochs=4, relax=2, relax_share=0.5)
    assert found == [10] * 6 + [5] * 6
    falling = kept(planted(), batch=125, epochs=2, relax=4, schedule="geometric", relax_share=0.3)
    assert falling == [20, 10] + [5] * 4, "two of six steps, not one of two epochs"


def test_a_larger_budget_than_the_schedule_asks_for_stays() -> None:
    """A budget above the number of weights keeps all, relaxed or not."""
    plain, relaxed = (run(planted(), s=60, steps=6, relax=relax) for relax in (1.0, 3.0))
    assert plain.history == relaxed.history
    assert plain.model.layers[0].equals(relaxed.model.layers[0])


@pytest.mark.parametrize("settings", [{}, {"batch": 100}, {"gates": "fixed", "signs": "both"}])
def test_without_relaxation_the_schedule_is_nothing(settings: dict[str, Any]) -> None:
    plain, told = (run(planted(), **settings, **more) for more in ({}, {"schedule": "geometric", "relax_share": 0.9}))
    assert plain.history == told.history
    assert plain.model.layers[0].equals(told.model.layers[0])
    other = run(planted(), **settings, relax=2.0)
    assert other.history != plain.history


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("schedule", ["constant", "geometric"])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_network_keeps_the_budget(steps: int, schedule: str, depth: int) -> None:
    for more in ({"relax_share": 1.0}, {"batch": 100}, {"gate_period": 3}):
        fit = run(planted(), s=8, depth=depth, steps=None, epochs=steps, relax=6.0, schedule=schedule, **more)
        assert fit.status is Status.OK
        assert all(0 < layer.nnz <= 8 // depth for layer in fit.model.layers)


@pytest.mark.parametrize("gates", ["sequential", "fixed"])
@pytest.mark.parametrize("schedule", ["constant", "geometric"])
def test_a_step_without_change_is_no_end_while_the_budget_falls(
    gates: str, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relaxed budget fits the two weights of the target exactly, where nothing changes any more; s holds one."""
    x = torch.eye(6).repeat(8, 1)
    first, second = (Streams(0).gates(6).rows(0, 1)[0] > 0).nonzero()[0][:2]  # where the neuron's random gate is open
    y = x[:, [first]] + 0.5 * x[:, [second]]
    problem = Problem(x, y, x, y, "psnr", peak=1.0)
    settings = {"steps": 40, "gates": gates, "relax": 2.0, "schedule": schedule}
    early = run(problem, s=1, m=1, **settings)
    assert early.history[8] == early.history[9] == 0.0, "exact before the budget is s"
    assert early.history[-1] > 0.0
    assert early.model.nnz == 1
    monkeypatch.setattr(SparseMatrix, "equals", lambda self, other: False)
    full = run(problem, s=1, m=1, **settings)
    assert early.iterations < full.iterations == 40
    assert torch.equal(early.model.layers[0].dense(), full.model.layers[0].dense())
    assert early.history == full.history[: len(early.history)]


@pytest.mark.parametrize(
    "settings",
    [{"relax": 0.5}, {"relax": float("inf")}, {"schedule": "linear"}, {"relax_share": 0}, {"relax_share": 2}],
)
def test_others_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IHT.model_validate(settings)


def test_published_cells_keep_their_keys_and_others_have_new_ones() -> None:
    point = Point("", "planted", "iht", 1, 2, 3, 0)
    plain = plan.single_cell(point, {}).key
    defaults = {"method.relax": 1, "method.schedule": "constant", "method.relax_share": 0.6}
    assert plan.single_cell(point, defaults).key == plain
    others = [{"method.relax": 2}, {"method.schedule": "geometric"}, {"method.relax_share": 0.5}]
    assert len({plain, *(plan.single_cell(point, one).key for one in others)}) == 4
