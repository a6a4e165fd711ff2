"""Dense training against torch.nn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mlpiht_cli.baselines.dense import Dense
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted

D, M, N, SEED = 8, 6, 70, 5


def planted(k: int = 1) -> Problem:
    return Planted(n=N, d=D, k=k).build(Axes(M, 10), Streams(0))


def classes() -> Problem:
    problem = planted(3)
    return replace(problem, y=torch.eye(3)[problem.y.argmax(1)], loss="cross_entropy", metric="accuracy", truth=None)


def run(method: Dense, problem: Problem, depth: int, budgets: list[int]) -> list[Fit]:
    return list(method.fit_path(problem, Shape(M, depth), budgets, Streams(SEED)))


def torchs_own(
    problem: Problem, depth: int, batch: int, epochs: int, lr: float
) -> tuple[torch.nn.Sequential, list[float]]:
    """The usual loop; layers are made input to output under the seed, all epochs have the one order of seed + 3."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        layers = [torch.nn.Linear(D, M, bias=False)]
        layers += [torch.nn.Linear(M, M, bias=False) for _ in range(depth - 1)]
        layers.append(torch.nn.Linear(M, problem.k, bias=False))
    net = torch.nn.Sequential(*[part for layer in layers[:-1] for part in (layer, torch.nn.ReLU())], layers[-1])
    measure = torch.nn.MSELoss() if problem.loss == "squared" else torch.nn.CrossEntropyLoss()
    adam, order, losses = torch.optim.Adam(net.parameters(), lr=lr), torch.Generator().manual_seed(SEED + 3), []
    batches = torch.randperm(N, generator=order).split(batch) if batch else [torch.arange(N)]
    for _ in range(epochs):
        for rows in batches:
            adam.zero_grad()
            loss = measure(net(problem.x[rows]), problem.y[rows])
            loss.backward()
            adam.step()
            losses.append(loss.item())
    return net, losses


@pytest.mark.parametrize("problem", [planted(), planted(2), classes()], ids=["one output", "two outputs", "classes"])
@pytest.mark.parametrize(("depth", "batch"), [(1, 0), (3, 0), (1, 30), (2, 30)])
def test_the_network_is_torchs_own(problem: Problem, depth: int, batch: int) -> None:
    net, losses = torchs_own(problem, depth, batch, epochs=12, lr=3e-3)
    (fit,) = run(Dense(epochs=12, lr=3e-3, batch=batch), problem, depth, [5])
    linear = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    for found, layer in zip(fit.model.layers, linear, strict=True):
        torch.testing.assert_close(found.dense(), layer.weight.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(fit.model.forward(problem.x), net(problem.x).detach(), rtol=1e-4, atol=1e-5)
    assert fit.history == pytest.approx(losses, rel=1e-4)
    assert fit.iterations == len(losses)


def test_every_budget_gets_the_one_network_whatever_its_size() -> None:
    problem, calls = planted(), []
    method = Dense(epochs=30)
    fits = list(method.fit_path(problem, Shape(M), [3, 500, 20], Streams(0), lambda step, loss: calls.append(step)))
    assert [fit.budget for fit in fits] == [500, 20, 3]
    assert calls == list(range(1, 31)), "trained once"
    for fit in fits:
        assert fit.model.nnz == method.weights(D, 1, Shape(M)) == M * (D + 1)
        assert fit.history == fits[0].history
        for mine, first in zip(fit.model.layers, fits[0].model.layers, strict=True):
            assert torch.equal(mine.dense(), first.dense())
    assert not method.keeps_budget


def test_training_helps() -> None:
    problem = planted()
    short, long = (run(Dense(epochs=epochs, lr=1e-2), problem, 2, [5])[0] for epochs in (1, 300))
    assert evaluate(long.model, problem).final_loss < 0.1 * evaluate(short.model, problem).final_loss


def test_weights_are_counted_for_any_depth() -> None:
    for depth in (1, 2, 3):
        (fit,) = run(Dense(epochs=1), planted(2), depth, [5])
        assert Dense().weights(D, 2, Shape(M, depth)) == D * M + (depth - 1) * M * M + 2 * M == fit.model.nnz


def test_divergence_holds_for_every_budget() -> None:
    fits = run(Dense(lr=1e30), planted(), 1, [20, 5])
    assert [fit.budget for fit in fits] == [20, 5]
    for fit in fits:
        assert fit.status is Status.DIVERGED
        assert "left the finite numbers" in fit.reason
        assert fit.model.nnz == 0
