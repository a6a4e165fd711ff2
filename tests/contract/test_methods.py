"""What every registered method promises; a new entry is tested the day it is registered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from mlpiht_cli.core.fit import Fit, Reached, Status, Step
from mlpiht_cli.core.method import Method, Precision, Shape, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted

SHAPE = Shape(5)
BUDGETS = [3, 8, 20]
QUICK = {"iht_cv": {"starts": 1, "folds": 2}}
EMPTY = {"zero", "eigenvalues", "gate_pair"}
"""Yardsticks without weights, and so without iterations."""


def planted(k: int = 1) -> Problem:
    """Inputs small enough for a fixed step of 2 (iht_vector, the paper's) to hold."""
    made = Planted(n=80, d=6, k=k).build(Axes(5, 8), Streams(0))
    return Problem(0.25 * made.x, 0.25 * made.y, 0.25 * made.x, 0.25 * made.y, "psnr", peak=0.25 * made.peak)


def classes() -> Problem:
    """Three classes, each row of the class with the largest planted output."""
    made = planted(3)
    y = torch.eye(3)[made.y.argmax(1)]
    return Problem(made.x, y, made.x, y, "accuracy", loss="cross_entropy")


@pytest.fixture
def problem(method: Method) -> Problem:
    return classes() if method.needs.loss == "cross_entropy" else planted()


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forms of the kernels keep the promises; the torch form is the one that GPUs run."""
    monkeypatch.setenv(BACKEND, request.param)


def made(name: str, **settings: object) -> Method:
    """Return a method with settings that take little time."""
    return METHODS[name].model_validate({**QUICK.get(name, {}), **settings})


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return made(request.param)


def path(method: Method, problem: Problem, budgets: list[int], seed: int = 0) -> dict[int, Fit]:
    return {fit.budget: fit for fit in method.fit_path(problem, SHAPE, budgets, Streams(seed))}


def weights(fit: Fit) -> Iterator[torch.Tensor]:
    """Weights of a network; of another predictor what it predicts of some inputs."""
    if isinstance(fit.predictor, SparseMLP):
        return (layer.dense() for layer in fit.model.layers)
    inputs = torch.linspace(-2, 2, 60, dtype=torch.float64).reshape(10, 6).sin()
    return iter([fit.predictor.forward(inputs)])


def same(a: Fit, b: Fit) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def within(fit: Fit, budget: int) -> bool:
    return fit.predictor.nnz is None or fit.predictor.nnz <= budget


def equal(a: SparseMLP, b: SparseMLP) -> bool:
    return all(x.equals(y) for x, y in zip(a.layers, b.layers, strict=True))


def test_every_budget_is_answered_and_kept(method: Method, problem: Problem) -> None:
    fits = path(method, problem, BUDGETS)
    assert sorted(fits) == BUDGETS
    for budget, fit in fits.items():
        assert fit.status is Status.OK
        assert (fit.predictor.nnz != 0) == (fit.iterations > 0) == (fit.passes > 0) == (method.name not in EMPTY)
        assert within(fit, budget) or not method.keeps_budget
        assert (fit.predictor.nnz is None) == (not method.is_network)
        assert fit.predictor.nnz in (None, sum(int((w != 0).sum()) for w in weights(fit)))
        assert fit.predictor.forward(problem.x.to(torch_dtype(method.dtype))).shape == problem.y.shape


def test_the_same_seed_gives_the_same_answer(method: Method, problem: Problem) -> None:
    a, b, c = (path(method, problem, [8], seed)[8] for seed in (1, 1, 2))
    assert same(a, b)
    assert a.history == b.history
    assert a.status is c.status is Status.OK, "two silent networks would be the same"
    # A method may find the one right network from any start; the losses on its way there tell.
    alike = same(a, c) and a.history == c.history and a.facts == c.facts
    assert alike == (not method.is_random), "is_random says otherwise"


def test_the_global_random_state_does_not_matter(method: Method, problem: Problem) -> None:
    before = path(method, problem, [8])[8]
    with torch.random.fork_rng():
        torch.manual_seed(999)
        assert same(before, path(method, problem, [8])[8])


def test_other_budgets_do_not_matter(method: Method, problem: Problem) -> None:
    together = path(method, problem, BUDGETS)
    for budget in BUDGETS:
        assert same(together[budget], path(method, problem, [budget])[budget])


def test_the_problem_is_left_alone(method: Method, problem: Problem) -> None:
    x, y = problem.x.clone(), problem.y.clone()
    path(method, problem, [8])
    assert torch.equal(problem.x, x)
    assert torch.equal(problem.y, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_a_field(method: Method, problem: Problem, dtype: Precision) -> None:
    fit = path(made(method.name, dtype=dtype), problem, [8])[8]
    assert not method.is_network or all(str(w.dtype) == f"torch.{dtype}" for w in weights(fit))
    assert fit.predictor.forward(problem.x.to(torch_dtype(dtype))).dtype == torch_dtype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("k", "depth"), [(1, 2), (2, 1), (2, 3)])
def test_other_shapes_are_fitted_or_refused_with_a_reason(method: Method, k: int, depth: int, dtype: Precision) -> None:
    problem, shape = planted(k), Shape(5, depth)
    reason = method.supports(problem, shape)
    if reason is not None:
        assert len(reason) > 10
        return
    (fit,) = made(method.name, dtype=dtype).fit_path(problem, shape, [20], Streams(0))
    assert fit.status is Status.OK
    assert within(fit, 20) or not method.keeps_budget
    assert within(fit, method.weights(6, k, shape))
    assert not method.is_network or all(str(w.dtype) == f"torch.{dtype}" for w in weights(fit))
    assert fit.predictor.forward(problem.x.to(torch_dtype(dtype))).shape == problem.y.shape


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_data_that_are_not_finite_end_in_divergence(method: Method, problem: Problem, bad: float) -> None:
    y = problem.y.clone()
    y[3] = bad
    broken = replace(problem, y=y, y_test=y)
    fit = path(method, broken, [8])[8]
    assert fit.status is Status.DIVERGED
    assert fit.reason
    assert all(bool(torch.isfinite(w).all()) for w in weights(fit)), "a diverged model holds no rubbish"


def test_the_callback_sees_every_iteration_and_may_stop(method: Method, problem: Problem) -> None:
    if len(path(method, problem, [8])[8].history) < 3:
        pytest.skip("the method is done before the third iteration")
    seen: list[int] = []

    def stop(iteration: int, loss: float) -> None:
        seen.append(iteration)
        if iteration == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        list(method.fit_path(problem, SHAPE, [8], Streams(0), stop))
    assert seen == [1, 2, 3]


def test_networks_of_steps_keep_the_budget_and_end_in_the_answer(method: Method, problem: Problem) -> None:
    *steps, reached = method.iterate(problem, SHAPE, [8], Streams(0))
    offered = [one.network for one in steps if isinstance(one, Step) and one.network is not None]
    if not offered:
        pytest.skip("the steps of the method offer no network")
    models = [make() for make in offered]  # made at the end: a network stays what it was after its step
    assert isinstance(reached, Reached)
    assert all(model.nnz <= 8 for model in models)
    last = steps[-1]
    assert isinstance(last, Step)
    assert last.network is None or equal(last.network(), reached.model)


def test_a_minibatch_form_runs(method: Method, problem: Problem) -> None:
    if "batch" not in type(method).model_fields:
        pytest.skip("the method has no minibatch form")
    fit = path(made(method.name, batch=30, epochs=2), problem, [8])[8]
    assert fit.status is Status.OK
    assert within(fit, 8) or not method.keeps_budget


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_network(method: Method, problem: Problem) -> None:
    double = made(method.name, dtype="float64")
    cpu = path(double, problem, [8])[8]
    gpu = path(double, problem.to(torch.device("cuda"), torch.float32), [8])[8]
    for a, b in zip(weights(cpu), weights(gpu), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-6, atol=1e-8)
