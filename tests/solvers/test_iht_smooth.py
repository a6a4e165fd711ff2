from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.lipschitz import exact_at_zero, sparse_vectors
from mlpiht_cli.linalg.smooth import SMOOTH_LOSSES, SmoothLoss, Softmax
from mlpiht_cli.linalg.stability import ht_stability
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_smooth import IHTSmooth, descend
from mlpiht_cli.tasks.iris import Iris


@pytest.fixture(scope="module")
def iris() -> Problem:
    return Iris().build(Axes(1, 5), Streams(0))


def run(problem: Problem, s: int, seed: int = 0, **settings: Any) -> Fit:
    (fit,) = IHTSmooth(**settings).fit_path(problem, Shape(1), [s], Streams(seed))
    return fit


def weights(fit: Fit) -> np.ndarray:
    return np.asarray(fit.model.layers[0].dense().double().numpy()).ravel()


def small_loss(kind: str, seed: int) -> tuple[SmoothLoss, np.random.RandomState]:
    rng = np.random.RandomState(seed)
    n, d, k = rng.randint(2, 12), rng.randint(1, 5), rng.randint(2, 4)
    x = torch.from_numpy(rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1))
    return SMOOTH_LOSSES[kind](x, torch.eye(int(k))[rng.randint(k, size=n)], rng.choice([0.0, 0.01, 1.0])), rng


@pytest.mark.parametrize("kind", ["cross_entropy", "squared"])
def test_no_step_of_at_most_one_over_the_bound_ever_rises(kind: str) -> None:
    """500 random problems a loss, each with its own size, scale, budget, ridge and start."""
    for seed in range(500):
        loss, rng = small_loss(kind, seed)
        s, step = rng.randint(1, loss.size + 1), rng.uniform(0.1, 1.0) / loss.bound()
        start = 3.0 * sparse_vectors(Streams(seed).start(), 1, loss.size, s)[0]
        points = list(islice(descend(loss, start, s, step), 20))
        values = np.array([value for _, value, _ in points])
        assert (np.diff(values) <= 1e-12 * (1 + np.abs(values[:-1]))).all(), seed
        assert all((theta != 0).sum() <= s for theta, _, _ in points)
        moved = np.array([((b[0] - a[0]) ** 2).sum() for a, b in pairwise(points)])
        promised = (1 / step - loss.bound()) / 2 * moved  # what the quadratic bound promises for the fall
        assert (values[:-1] - values[1:] >= promised - 1e-12 * (1 + np.abs(values[:-1]))).all(), seed


def test_a_step_far_above_one_over_the_bound_may_rise(iris: Problem) -> None:
    history = np.array(run(iris, 5, steps=200, lipschitz=0.01).history)
    assert (np.diff(history) > 0.1).any()


def test_the_steps_are_written_out_in_torch(iris: Problem) -> None:
    """IHT once more, with autograd, cross_entropy and topk; starts and step are told."""
    fit = run(iris, 5, seed=3, steps=40, ridge=0.01)
    x, label = iris.x.double(), iris.y.argmax(1)
    theta = torch.from_numpy(sparse_vectors(Streams(3).start(), 1, 15, 5)[0]).requires_grad_()
    step = 1.0 / (float(torch.linalg.eigvalsh(x.T @ x / len(x)).max()) / 2 + 0.01)
    history = []
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(x @ theta.reshape(3, 5).T, label) + 0.005 * theta.square().sum()
        history.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, theta)
        moved = (theta - step * gradient).detach()
        keep = moved.abs().topk(5).indices
        theta = torch.zeros(15, dtype=torch.float64).scatter(0, keep, moved[keep]).requires_grad_()
    np.testing.assert_allclose(fit.history, history, rtol=1e-10)
    np.testing.assert_allclose(weights(fit), theta.detach(), atol=1e-10)
    assert fit.facts["step_size"] == pytest.approx(step)


def test_all_weights_are_gradient_descent_on_the_dense_network(iris: Problem) -> None:
    fit = run(iris, 15, start="zero", steps=300)
    dense = torch.zeros(3, 5, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.SGD([dense], lr=float(fit.facts["step_size"]))
    for _ in range(300):
        descent.zero_grad()
        torch.nn.functional.cross_entropy(iris.x.double() @ dense.T, iris.y.argmax(1)).backward()
        descent.step()
    np.testing.assert_allclose(weights(fit), dense.detach().numpy().ravel(), atol=1e-10)


def test_the_facts_are_those_of_the_last_point(iris: Problem) -> None:
    fit, loss = run(iris, 5, steps=50), Softmax(iris.x, iris.y)
    value, gradient = loss.value_and_gradient(weights(fit))
    assert fit.facts["objective"] == pytest.approx(float(value), rel=1e-12)
    assert fit.facts["objective"] <= fit.history[-1]
    assert fit.facts["on_support_gradient"] == pytest.approx(np.abs(gradient[weights(fit) != 0]).max(), rel=1e-9)
    assert (fit.iterations, len(fit.history), fit.model.nnz) == (50, 50, 5)


def test_settled_is_the_last_change_of_the_support(iris: Problem) -> None:
    fit, loss = run(iris, 5, seed=1, steps=400), Softmax(iris.x, iris.y)
    start = sparse_vectors(Streams(1).start(), 1, 15, 5)[0]
    supports = [theta != 0 for theta, _, _ in islice(descend(loss, start, 5, 1 / loss.bound()), 401)]
    changes = [i for i in range(1, 401) if (supports[i] != supports[i - 1]).any()]
    assert fit.settled == changes[-1]


@pytest.mark.parametrize("s", [3, 5, 8])
def test_the_certificate_holds_at_convergence_with_a_ridge(iris: Problem, s: int) -> None:
    """Ridge 1e-4, tolerance 1e-6. 1500 steps do not bring s = 5 there, which the certificate says too."""
    fit = run(iris, s, ridge=1e-4, steps=60_000, tolerance=1e-6)
    assert fit.facts["stable"] is True
    assert fit.facts["on_support_gradient"] <= 1e-6
    assert fit.facts["off_support_ratio"] <= 1.0
    if s == 5:
        assert run(iris, s, ridge=1e-4).facts["stable"] is False


def test_iht_leaves_an_unstable_point(iris: Problem) -> None:
    """The best weights on five badly chosen places: no gradient on the support, far too much of it elsewhere."""
    loss, support = Softmax(iris.x, iris.y, 1e-4), np.arange(15) < 5
    step = 1 / loss.bound()
    *_, (theta, _, _) = islice(descend(loss, np.zeros(15), 15, step), 1)
    for _ in range(20_000):  # gradient descent with the other places held at zero
        theta = np.where(support, theta - step * loss.value_and_gradient(theta)[1], 0.0)
    theta[4] = 1e-3  # a bias hardly there: kept, but not by its own strength
    value, gradient = loss.value_and_gradient(theta)
    at = ht_stability(theta, gradient, 5, step, 1e-6)
    assert not at.stable
    assert at.off_ratio > 1.0
    *_, (after, reached, _) = islice(descend(loss, theta, 5, step), 2)
    assert ((after != 0) != support).any(), "the support changes at once"
    assert reached < float(value)


def test_where_the_step_comes_from(iris: Problem) -> None:
    loss = Softmax(iris.x, iris.y)
    assert run(iris, 3, steps=1).facts["lipschitz"] == pytest.approx(loss.bound())
    assert run(iris, 3, steps=1, lipschitz="exact_at_zero").facts["lipschitz"] == exact_at_zero(loss, 3)
    told = run(iris, 3, steps=1, lipschitz=2.5).facts
    assert (told["lipschitz"], told["step_size"]) == (2.5, 0.4)
    both = [run(iris, 3, steps=1, lipschitz="monte_carlo", estimator=one).facts for one in ("descent", "gradient")]
    assert [facts["lipschitz"] for facts in both] == [both[0]["lipschitz_descent"], both[0]["lipschitz_gradient"]]
    assert both[0]["lipschitz_descent"] != both[0]["lipschitz_gradient"]
    assert all(facts["lipschitz"] <= facts["lipschitz_bound"] for facts in both)


def test_more_pairs_find_no_less(iris: Problem) -> None:
    few, many = (run(iris, 5, steps=1, lipschitz="monte_carlo", samples=samples).facts for samples in (50, 50_000))
    assert many["lipschitz_gradient"] > few["lipschitz_gradient"]
    assert many["lipschitz_gradient"] <= many["lipschitz_bound"]


def test_starts_differ_by_seed_and_zero_is_zero(iris: Problem) -> None:
    assert run(iris, 5, seed=1, steps=1).history != run(iris, 5, seed=2, steps=1).history
    assert run(iris, 5, seed=1, steps=1, start="zero").history == (pytest.approx(np.log(3.0)),)


def test_a_step_too_long_diverges_with_a_reason(iris: Problem) -> None:
    huge = Problem(1e100 * iris.x.double(), iris.y, iris.x, iris.y, "accuracy", "squared")
    fit = run(huge, 5, lipschitz=1e-300)
    assert fit.status is Status.DIVERGED
    assert "finite" in fit.reason
    assert fit.model.nnz == 0
    larger = Problem(1e200 * iris.x.double(), iris.y, iris.x, iris.y, "accuracy", "cross_entropy")
    assert "too large" in run(larger, 5, lipschitz="exact_at_zero").reason
    zero = Problem(0 * iris.x, iris.y, iris.x, iris.y, "accuracy", "cross_entropy")
    assert "zero" in run(zero, 5).reason


BAD = {
    ("--s", "16"): "s=16 is above the 15 weights that iht_smooth counts",
    ("--s", "5", "--set", "task.split=-1"): "task.split: it must be 0 or more, got -1",
    ("--s", "5", "--set", "method.lipschitz=mean"): "method.lipschitz: must be bound, exact_at_zero, monte_carlo or a",
    ("--s", "5", "--set", "method.samples=2000000"): "method.samples: it must be 1000000 or less",
    ("--s", "5", "--set", "method.lipschitz=0"): "method.lipschitz: must be bound",
    ("--s", "5", "--set", "method.lipschitz=true"): "method.lipschitz: must be bound",
}


@pytest.mark.parametrize("args", BAD, ids=" ".join)
def test_bad_input_is_one_message(mlpiht: Callable[..., Any], args: tuple[str, ...]) -> None:
    result = mlpiht("fit", "--method", "iht_smooth", "--task", "iris", "--m", "1", *args)
    assert result.code == 2
    assert result.err.startswith(f"error: {BAD[args]}")
    assert result.err.count("\n") == 1


def test_the_facts_are_measures_of_the_row(mlpiht: Callable[..., Any]) -> None:
    args = ("--task", "iris", "--m", 1, "--s", 5, "--set", "method.steps=20")
    row = mlpiht("fit", "--method", "iht_smooth", *args, "--json").json
    assert row["measures"]["stable"] is False
    assert row["measures"]["objective"] == pytest.approx(row["final_loss"]), "there is no ridge"
    assert {"test_loss", "lipschitz", "lipschitz_bound", "step_size", "off_support_ratio"} <= row["measures"].keys()


@pytest.mark.parametrize("wrong", [{"lipschitz": 0.0}, {"lipschitz": "mean"}, {"ridge": -1.0}, {"steps": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        IHTSmooth.model_validate(wrong)
