"""Depth two and more: the stages done by hand, and how a stage that diverges is told."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Events, Fit, Reached, Status, Step
from mlpiht_cli.core.loop import fits
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector
from mlpiht_cli.solvers.layerwise import Layerwise
from mlpiht_cli.tasks.planted import Planted

M, S, SEED = 7, 40, 1


def planted(depth: int, k: int = 1) -> Problem:
    return Planted(n=90, d=6, k=k).build(Axes(M, S, depth), Streams(0))


def run(method: IHT | IHTVector, problem: Problem, depth: int, s: int = S) -> Fit:
    return next(iter(method.fit_path(problem, Shape(M, depth), [s], Streams(SEED))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize(
    "method",
    [IHT(steps=6), IHT(epochs=3, batch=40, signs="both"), IHTVector(epochs=3, batch=40, step="safeguarded")],
    ids=["scalar", "scalar, minibatches", "vector"],
)
def test_a_deep_fit_is_its_stages_done_by_hand(method: IHT | IHTVector, depth: int, dtype: str) -> None:
    method = method.model_copy(update={"dtype": dtype})
    problem = planted(depth, 2 if isinstance(method, IHTVector) else 1)
    deep = run(method, problem, depth)
    features, history, kept = problem.x.to(getattr(torch, dtype)), [], []
    for layer in range(depth):
        stage = replace(problem, x=features, x_test=features, truth=None)
        (fit,) = method.fit_path(stage, Shape(M), [S // depth], Streams(SEED).for_layer(layer))
        kept.append(fit.model.layers[0].dense())
        before, features = features, torch.relu(features @ kept[-1].T)
        history += fit.history
    kept += [layer.dense() for layer in fit.model.layers[1:]]  # the last stage's output weights, if any
    assert deep.status is Status.OK
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-4, "atol": 1e-6}
    assert (deep.budget, deep.iterations) == (S, len(history))
    np.testing.assert_allclose(deep.history, history, **near)
    for found, wanted in zip(deep.model.layers, kept, strict=True):
        torch.testing.assert_close(found.dense(), wanted, **near)
    torch.testing.assert_close(deep.model.forward(problem.x.to(before.dtype)), fit.model.forward(before), **near)
    assert all(0 < nnz <= S // depth for nnz in deep.model.nnz_by_layer)
    assert deep.model.nnz <= S


def test_layers_draw_from_their_own_streams() -> None:
    first, second = (Streams(SEED).for_layer(layer) for layer in (0, 1))
    assert first == Streams(SEED)
    assert not np.isclose(first.gates(4).rows(0, 5), second.gates(4).rows(0, 5)).any()
    assert not np.isclose(first.revival(4).rows(0, 5), second.revival(4).rows(0, 5)).any()
    assert (first.hashes(4, 9).words != second.hashes(4, 9).words).all()


class Failing:
    """A solver of one hidden layer with weights of one, which diverges at one stage."""

    def __init__(self, stage: int) -> None:
        self.stage, self.calls = stage, 0

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        bad, self.calls = self.calls == self.stage, self.calls + 1
        yield Step(0.5)
        yield Step(0.25, check=math.nan if bad else 1.0)
        yield Reached(SparseMLP((SparseMatrix.from_dense(torch.eye(m, problem.d)),), torch.ones(m)))


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_stage_that_diverges_names_its_layer_and_its_step(stage: int) -> None:
    problem, inner, seen = planted(3), Failing(stage), list[int]()
    silent = SparseMLP.silent(Shape(M, 3).widths(6, 1), problem.x)
    path = Layerwise(inner).iterate(problem, Shape(M, 3), S, Streams(0))
    (fit,) = fits(path, [S], silent, lambda step, _: seen.append(step), nullcontext)
    why = f"hidden layer {stage + 1}: the loss or the weights left the finite numbers at step 2"
    assert (fit.status, fit.reason) == (Status.DIVERGED, why)
    assert (inner.calls, fit.iterations, fit.history) == (stage + 1, 2 * (stage + 1), (0.5, 0.25) * (stage + 1))
    assert seen == list(range(1, 2 * (stage + 1) + 1))
    assert [(layer.rows, layer.cols) for layer in fit.model.layers] == [(M, 6), (M, M), (M, M), (1, M)]
    assert torch.equal(fit.model.forward(problem.x), torch.zeros_like(problem.y))


def test_a_real_divergence_names_its_layer() -> None:
    problem = planted(2)
    fit = run(IHT(), replace(problem, x=problem.x * 1e30, y=problem.y * 1e30), 2)
    assert fit.status is Status.DIVERGED
    assert fit.reason.startswith("hidden layer 1: the loss or the weights")
    assert fit.model.forward(torch.ones(4, 6)).tolist() == [[0.0]] * 4


@pytest.mark.parametrize("method", [IHT(), IHTVector()])
def test_a_budget_below_one_weight_a_layer_is_refused(method: IHT | IHTVector) -> None:
    with pytest.raises(ValueError, match="s=2 is below one weight for each of the 3 hidden layers"):
        run(method, planted(3), 3, s=2)


def test_the_callback_counts_on_over_the_stages() -> None:
    seen: list[int] = []
    path = IHT(steps=4).fit_path(planted(2), Shape(M, 2), [S], Streams(0), lambda step, loss: seen.append(step))
    list(path)
    assert seen == list(range(1, 9))
