"""The network that a step of IHT offers is that of a run which ends with this step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mlpiht_cli.core.fit import Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector
from mlpiht_cli.tasks.planted import Planted

M, S, N = 5, 12, 80
SCALAR = [{}, {"gates": "fixed"}, {"gate_period": 3, "signs": "both"}]
VECTOR = [{}, {"selection_order": "global"}, {"selection": "magnitude", "step": "safeguarded"}]
CASES: list[tuple[type[IHT] | type[IHTVector], dict[str, Any]]] = [
    *[(IHT, settings) for settings in SCALAR],
    *[(IHTVector, settings) for settings in VECTOR],
]


def planted(kind: type[IHT] | type[IHTVector]) -> Problem:
    """Inputs small enough for a fixed step of 2 to hold."""
    made = Planted(n=N, d=6, k=2 if kind is IHTVector else 1).build(Axes(M, S), Streams(0))
    return Problem(0.25 * made.x, 0.25 * made.y, 0.25 * made.x, 0.25 * made.y, "psnr", peak=1.0)


def equal(a: SparseMLP, b: SparseMLP) -> bool:
    same_gates = a.gates is b.gates is None or bool(a.gates and b.gates and a.gates.equals(b.gates))
    return same_gates and all(x.equals(y) for x, y in zip(a.layers, b.layers, strict=True))


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("batch", [0, 30])
@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_it_is_that_of_a_run_of_as_many_steps(
    kind: type[IHT] | type[IHTVector],
    settings: dict[str, Any],
    batch: int,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All networks are made at the end: a network stays what it was after its step."""
    monkeypatch.setenv(BACKEND, backend)
    problem, shape = planted(kind), Shape(M)

    def method(passes: int) -> IHT | IHTVector:
        return kind.model_validate({**settings, "batch": batch, "epochs" if batch else "steps": passes})

    steps = [one for one in method(4).iterate(problem, shape, [S], Streams(0)) if isinstance(one, Step)]
    assert all(step.network is not None for step in steps)
    models = [step.network() for step in steps if step.network is not None]
    each = -(-N // batch) if batch else 1
    assert len(models) == 4 * each
    for passes in range(1, 5):
        fit = method(passes).fit(problem, shape, S, Streams(0))
        assert equal(models[passes * each - 1], fit.model)
        assert fit.model.nnz > 0
    assert not equal(models[-1], models[-2]), "the networks differ from step to step"


@pytest.mark.parametrize("kind", [IHT, IHTVector])
def test_in_a_deep_fit_it_is_the_network_of_the_layer(kind: type[IHT] | type[IHTVector]) -> None:
    problem, method = planted(kind), kind(steps=3)
    steps = [one for one in method.iterate(problem, Shape(M, 2), [S], Streams(0)) if isinstance(one, Step)]
    assert [step.layer for step in steps] == [1, 1, 1, 2, 2, 2]
    deep = method.fit(problem, Shape(M, 2), S, Streams(0)).model
    assert steps[2].network is not None
    assert steps[5].network is not None
    first, second = steps[2].network(), steps[5].network()
    assert first.layers[0].equals(deep.layers[0])
    assert all(a.equals(b) for a, b in zip(second.layers, deep.layers[1:], strict=True))
    torch.testing.assert_close(second.forward(first.hidden(problem.x)), deep.forward(problem.x))
