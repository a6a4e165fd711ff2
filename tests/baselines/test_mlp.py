"""The MLP with biases against torch.nn, and what its masks and optimisers promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.baselines.mlp import MLP
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.index_model import IndexModel

M, D = 6, 10


def build(n: int = 70, d: int = D, s: int = 2, seed: int = 0) -> Problem:
    return IndexModel(n=n, d=d).build(Axes(M, s), Streams(seed))


def run(problem: Problem, m: int = M, **settings: Any) -> Fit:
    (fit,) = MLP(**settings).fit_path(problem, Shape(m), [2], Streams(0))
    return fit


def torchs_own(problem: Problem, kept: torch.Tensor, optimizer: str, lr: float) -> torch.nn.Sequential:
    """The usual loop on the kept inputs, from the weights that a layer with a constant input would start from."""
    generator = torch.Generator().manual_seed(0)
    draw = [
        torch.nn.init.kaiming_uniform_(torch.empty(out, fan), a=math.sqrt(5), generator=generator)
        for fan, out in ((D + 1, M), (M, 1))
    ]
    net = torch.nn.Sequential(torch.nn.Linear(len(kept), M), torch.nn.ReLU(), torch.nn.Linear(M, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(draw[0][:, kept])
        net[0].bias.copy_(draw[0][:, -1])
        net[2].weight.copy_(draw[1])
    kind = torch.optim.Adam if optimizer == "adam" else torch.optim.SGD
    optimiser, order = kind(net.parameters(), lr=lr), torch.Generator().manual_seed(3)
    for _ in range(8):
        for rows in torch.randperm(len(problem.x), generator=order).split(16):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(net(problem.x[rows][:, kept]), problem.y[rows]).backward()
            optimiser.step()
    return net


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("mask", ["none", "oracle"])
def test_the_network_is_torchs_own(optimizer: str, mask: str) -> None:
    problem = build()
    assert problem.directions is not None
    kept = problem.directions.col if mask == "oracle" else torch.arange(D)
    with torch.random.fork_rng():
        net = torchs_own(problem, kept, optimizer, 0.02)
    fit = run(problem, optimizer=optimizer, mask=mask, batch=16, epochs=8, lr=0.02)
    torch.testing.assert_close(fit.model.forward(problem.x), net(problem.x[:, kept]).detach(), rtol=1e-4, atol=1e-5)
    assert fit.iterations == 8 * 5
    assert fit.model.nnz == M * len(kept) + M


def test_masks_leave_their_inputs_alone() -> None:
    problem = build(n=2000)
    assert problem.directions is not None
    used = {
        mask: run(problem, mask=mask, epochs=1).model.layers[0].dense().any(0) for mask in ("none", "pruned", "oracle")
    }
    assert int(used["none"].sum()) == D
    assert int(used["pruned"].sum()) == 4
    assert used["oracle"].nonzero().flatten().tolist() == problem.directions.col.tolist()
    assert bool(used["pruned"][problem.directions.col].all())


def test_both_optimisers_learn_the_target() -> None:
    problem = build(n=4000, s=2)
    for optimizer, lr in (("adam", 0.003), ("sgd", 0.1)):
        scores = evaluate(run(problem, 32, optimizer=optimizer, lr=lr, epochs=20).model, problem)
        assert scores is not None
        assert scores.more["mse_ratio"] < 0.1


def test_sgd_turns_with_a_rotation_of_inputs_and_weights_and_adam_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = build(n=100).to(torch.device("cpu"), torch.float64)
    rotation = torch.linalg.qr(torch.from_numpy(np.random.RandomState(1).normal(size=(D, D)))).Q
    from mlpiht_cli.baselines import training

    draw = training.initial_weights

    def turned(*args: Any) -> list[torch.Tensor]:
        first, second = (weight.double() for weight in draw(*args))
        return [torch.cat([first[:, :-1] @ rotation, first[:, -1:]], dim=1), second]

    moved = Problem(problem.x @ rotation, problem.y, problem.x_test @ rotation, problem.y_test, "r2")
    gaps = {}
    for optimizer in ("sgd", "adam"):
        settings = {"optimizer": optimizer, "lr": 0.05, "epochs": 5, "dtype": "float64"}
        plain = run(problem, **settings)
        with monkeypatch.context() as patch:
            patch.setattr(training, "initial_weights", turned)
            other = run(moved, **settings)
        gaps[optimizer] = float((plain.model.forward(problem.x) - other.model.forward(moved.x)).abs().max())
    assert gaps["sgd"] < 1e-6
    assert gaps["adam"] > 1e-2


def test_divergence_is_told() -> None:
    fit = run(build(), optimizer="sgd", lr=1e20)
    assert fit.status is Status.DIVERGED
    assert "left the finite numbers" in fit.reason
    assert fit.model.nnz == 0


def test_other_problems_are_refused_with_a_reason() -> None:
    problem = build()
    assert "depth to 1" in str(MLP().supports(problem, Shape(4, 2)))
    two = Problem(problem.x, problem.y.repeat(1, 2), problem.x_test, problem.y_test, "r2")
    assert MLP().supports(two, Shape(4)) is None
    assert "one output" in str(MLP(mask="pruned").supports(two, Shape(4)))
    assert "planted directions" in str(MLP(mask="oracle").supports(two, Shape(4)))
