"""IHT with several outputs against the protocol written out neuron by neuron, and its forms against each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.linalg import gates, vector
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.linalg.vector import Neurons
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers import iht_vector
from mlpiht_cli.solvers.iht_vector import RESIDUALS, paper_step
from tests.solvers.vectors import Literal, classes, events, flat, method, networks, regression, run

SELECTIONS = ["count_sketch", "accumulated", "magnitude"]
ORDERS = ["blocks", "global"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("reinit", ["every_epoch", "first_step"])
@pytest.mark.parametrize("batch", [0, 20])  # 45 samples: the last batch is smaller
@pytest.mark.parametrize(
    ("problem", "m", "s"),
    [(regression(scale=0.3), 6, 9), (regression(scale=2.0), 4, 13), (classes(), 4, 9)],
    ids=["step 2", "step 0.005", "classes"],
)
def test_weights_are_those_of_the_protocol_after_every_step(
    problem: Problem, m: int, s: int, batch: int, reinit: str, selection: str, order: str
) -> None:
    count = {"batch": batch, "epochs": 5} if batch else {"steps": 5}
    settings = {"selection": selection, "selection_order": order, "reinit": reinit, **count}
    found = list(networks(events(problem, m, s, seed=4, **settings)))
    expected = list(Literal(problem, m, s, 4, method(**settings)).weights())
    assert len(found) == len(expected) == 5 * (3 if batch else 1)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(flat(ours), theirs, rtol=1e-9, atol=1e-12)
    fit = run(problem, m, s, seed=4, **settings)
    assert fit.status is Status.OK
    np.testing.assert_array_equal(flat(fit.model), flat(found[-1]))
    assert fit.iterations == len(found)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_order_of_the_selection_matters(selection: str) -> None:
    """A block is compared with the others' weights of the step before if these have not had their turn."""
    settings = {"epochs": 4, "batch": 20, "selection": selection}
    blocks, together = (
        [flat(run(regression(scale=0.3), 6, 9, seed, selection_order=order, **settings).model) for seed in range(10)]
        for order in ORDERS
    )
    assert not np.array_equal(blocks, together)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_residuals_are_gradients_of_the_protocols_losses(loss: str) -> None:
    rng = np.random.RandomState(0)
    prediction = torch.from_numpy(rng.normal(size=(7, 3))).requires_grad_()
    y = classes(n=7).y
    value = LOSSES[loss](prediction, y)
    scaled = value * (1.5 if loss == "squared" else 1.0)  # mean over n k entries: |.|^2 / 2n
    (expected,) = torch.autograd.grad(scaled, prediction)
    told, residual = RESIDUALS[loss](prediction.detach().T, y.T)
    torch.testing.assert_close(told, value.detach())
    torch.testing.assert_close(residual, expected.T)


@pytest.mark.parametrize(("m", "edge"), [(10, 20.61), (1, 6.0), (200, 102.65), (1000, 243.29)])
def test_the_papers_step(m: int, edge: float) -> None:
    assert paper_step(m, math.ceil(edge) - 1, "squared") == 2.0
    assert paper_step(m, math.ceil(edge), "squared") == 0.005
    assert paper_step(m, 1, "cross_entropy") == paper_step(m, 1000, "cross_entropy") == 0.001


def tiles_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (vector, iht_vector):
        monkeypatch.setattr(module, "TILE", size)


def same(ours: Fit, theirs: Fit) -> None:
    assert ours.status is theirs.status is Status.OK
    np.testing.assert_allclose(flat(ours.model), flat(theirs.model), rtol=1e-8, atol=1e-12)
    assert ours.history == pytest.approx(theirs.history, rel=1e-8)


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("step", ["paper", "safeguarded"])
@pytest.mark.parametrize("size", [1, 3])
def test_tiles_change_nothing_but_rounding(
    size: int, step: str, order: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, settings = regression(scale=0.3), {"epochs": 4, "batch": 20, "step": step, "selection_order": order}
    whole = run(problem, 7, 12, **settings)
    monkeypatch.setenv(BACKEND, backend)
    tiles_of(monkeypatch, size)
    same(run(problem, 7, 12, **settings), whole)


@pytest.mark.parametrize("batch", [0, 20])
def test_more_neurons_than_a_tile_are_the_network_of_one_tile(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    m = 2 * gates.TILE + 5
    problem, settings = regression(scale=0.3), {"batch": batch, "epochs": 4}
    tiled = run(problem, m, 30, **settings)
    tiles_of(monkeypatch, m)
    same(tiled, run(problem, m, 30, **settings))
    assert len(np.unique(tiled.model.layers[0].row)) > 3


@pytest.mark.parametrize("seed", range(40))
def test_both_backends_fit_the_same_network(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.RandomState(seed)
    make = regression if rng.uniform() < 0.6 else classes
    n, d, k, m = rng.randint(40, 90), rng.randint(3, 8), rng.randint(1, 4), rng.randint(1, 8)
    problem = make(n, d, min(d, k), scale=0.3, seed=seed)
    settings: dict[str, Any] = {
        **{"epochs": 4, "batch": int(rng.choice([0, 25])), "selection": str(rng.choice(SELECTIONS))},
        **{"selection_order": str(rng.choice(ORDERS)), "reinit": str(rng.choice(["every_epoch", "first_step"]))},
    }
    s, fits = int(rng.randint(1, m * (d + problem.k) + 1)), []
    for backend in ("compiled", "torch"):
        monkeypatch.setenv(BACKEND, backend)
        fits.append(run(problem, m, s, seed, **settings))
    same(*fits)


@pytest.mark.parametrize("backend", ["compiled", "torch"])
def test_a_block_restarts_from_the_same_numbers_at_every_epoch_and_in_every_network(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They depend on the seed and the number of the block alone, up to their scale."""
    monkeypatch.setenv(BACKEND, backend)
    restart, seen = iht_vector._Run._revived, list[tuple[Neurons, Neurons]]()

    def watched(self: iht_vector._Run, tile: Neurons) -> Neurons:
        seen.append((tile, restart(self, tile)))
        return seen[-1][1]

    monkeypatch.setattr(iht_vector._Run, "_revived", watched)
    numbers = Streams(3).revival(5).rows(0, 70)
    for m in (4, 70):
        seen.clear()
        run(regression(scale=0.3), m, 9, seed=3, epochs=3, batch=20)
        restarted = [0, 0]
        for old, new in seen:
            assert new.revived
            for part, (before, after) in enumerate([(old.hidden, new.hidden), (old.output, new.output)]):
                empty, size = before.amax(dim=1) == 0, m * before.shape[1]
                fresh = numbers[old.ids[empty].numpy()][:, : before.shape[1]] / math.sqrt(size)
                np.testing.assert_allclose(after[empty].numpy(), fresh, rtol=1e-12)
                assert torch.equal(after[~empty], before[~empty])
                restarted[part] += int(empty.sum())
        assert min(restarted) > m, "blocks restart in several epochs"


@pytest.mark.parametrize("order", ORDERS)
def test_two_hidden_layers_fit_better_than_none(order: str) -> None:
    problem = regression(n=90, scale=0.3)
    fit = method(epochs=40, batch=30, selection_order=order, step="safeguarded").fit(
        problem, Shape(8, 2), 60, Streams(0)
    )
    assert fit.status is Status.OK
    assert [(layer.rows, layer.cols) for layer in fit.model.layers] == [(8, 5), (8, 8), (3, 8)]
    assert all(0 < nnz <= 30 for nnz in fit.model.nnz_by_layer)
    assert float(LOSSES["squared"](fit.model.forward(problem.x), problem.y)) < float(problem.y.square().mean())
