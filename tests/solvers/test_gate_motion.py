"""The share of mask entries that change, against masks written down from the networks of IHT's steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers import gate_motion
from mlpiht_cli.solvers.gate_motion import GateMotion
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.tasks.planted import Planted

M, S, D = 5, 12, 8


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND, request.param)


def planted(seed: int = 0, n: int = 300) -> Problem:
    return Planted(n=n, d=D).build(Axes(M, S), Streams(seed)).to(torch.device("cpu"), torch.float64)


def run(problem: Problem, s: int = S, m: int = M, seed: int = 0, **settings: Any) -> Fit:
    return GateMotion.model_validate({"dtype": "float64", **settings}).fit(problem, Shape(m), s, Streams(seed))


def masks(problem: Problem, gates: np.ndarray) -> np.ndarray:
    return np.asarray(problem.x.numpy() @ gates.T > 0)


def weights_after_each_step(problem: Problem, s: int = S, m: int = M, **settings: Any) -> list[np.ndarray]:
    events = IHT.model_validate({"dtype": "float64", **settings}).iterate(problem, Shape(m), [s], Streams(0))
    steps = [one for one in events if isinstance(one, Step)]
    return [one.network().layers[0].dense().numpy() for one in steps if one.network is not None]


def gates_of_each_step(problem: Problem, per_epoch: int, period: int, **settings: Any) -> list[np.ndarray]:
    """Random gates in the first epoch and the first step of the next, then the weights, at each ``period``-th step."""
    after = weights_after_each_step(problem, gate_period=period, **settings)
    gates = [Streams(0).gates(D).rows(0, M)]
    for count, weights in enumerate(after[:-1]):
        gates.append(weights if count >= per_epoch and count % period == 0 else gates[-1])
    return gates


@pytest.mark.parametrize("period", [1, 2])
@pytest.mark.parametrize("batch", [0, 120])
@pytest.mark.parametrize("more", [{}, {"signs": "both", "relax": 2.0}, {"inner_steps": 0}])
def test_shares_are_those_of_the_masks(period: int, batch: int, more: dict[str, Any]) -> None:
    problem, each = planted(), 3 if batch else 1
    shares = []
    for passes in range(1, 8):
        settings = {"batch": batch, "epochs": passes, **more}
        *_, before, last = [None, None, *gates_of_each_step(problem, each, period, **settings)]
        fit = run(problem, gate_period=period, **settings)
        assert fit.iterations == passes * each
        if before is None:
            assert "gates_changed" not in fit.facts
            continue
        assert fit.facts["gates_changed"] == (masks(problem, last) != masks(problem, before)).mean()
        shares.append(fit.facts["gates_changed"])
    assert shares[0] == 0.0 or batch, "steps 1 and 2 have the random gates"
    assert sum(share > 0 for share in shares) >= 2, "the gates of this problem move"


@pytest.mark.parametrize("settings", [{}, {"batch": 100}, {"gate_period": 2, "relax": 2.0, "schedule": "geometric"}])
def test_the_network_is_that_of_iht(settings: dict[str, Any]) -> None:
    problem = planted()
    ours = run(problem, **settings)
    theirs = IHT.model_validate({"dtype": "float64", **settings}).fit(problem, Shape(M), S, Streams(0))
    assert ours.model.layers[0].equals(theirs.model.layers[0])
    assert (ours.history, ours.settled) == (theirs.history, theirs.settled)
    assert ours.predictor.forward(problem.x).equal(theirs.predictor.forward(problem.x))


def test_settled_is_the_first_step_from_which_nothing_changes() -> None:
    """Read off the shares of runs of every length; the facts of a run that is still moving lack it."""
    problem = planted(seed=3)
    facts = [run(problem, s=3, steps=steps).facts for steps in range(1, 40)]
    moving = [k for k, one in enumerate(facts, 1) if one.get("gates_changed")]
    assert 3 <= moving[-1] < 30
    for k, one in enumerate(facts, 1):
        expected = max((step for step in moving if step <= k), default=k) + 1
        assert one.get("gates_settled") == (expected if expected <= k else None)
        assert "gates_settled" not in one or one["gates_changed"] == 0.0


def test_steps_that_are_left_out_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.eye(4, dtype=torch.float64).repeat(8, 1)
    y = x[:, :1].clone()
    problem = Problem(x, y, x, y, "psnr", peak=1.0)
    early = run(problem, s=1, m=3, steps=60)
    monkeypatch.setattr(SparseMatrix, "equals", lambda self, other: False)
    full = run(problem, s=1, m=3, steps=60)
    assert early.iterations < full.iterations == 60
    assert early.facts == full.facts
    assert full.facts["gates_changed"] == 0.0


def test_neurons_that_die_close_their_gates() -> None:
    """No target, no weights: the run ends before step 3, whose gates would be closed on all samples."""
    problem = planted()
    silent = Problem(problem.x, torch.zeros_like(problem.y), problem.x, problem.y, "psnr", peak=1.0)
    share = masks(problem, Streams(0).gates(D).rows(0, M)).mean()
    facts = [run(silent, steps=steps).facts for steps in (2, 3, 4)]
    assert facts == [
        {"gates_changed": 0.0},
        {"gates_changed": share},
        {"gates_changed": 0.0, "gates_settled": 4},
    ]


def test_tiles_of_neurons_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = planted()
    whole = run(problem, steps=5).facts
    monkeypatch.setattr(gate_motion, "TILE", 2)
    assert run(problem, steps=5).facts == whole
    assert whole["gates_changed"]


def test_deep_networks_are_refused_with_a_reason() -> None:
    assert "one hidden layer" in str(GateMotion().supports(planted(), Shape(M, 2)))
