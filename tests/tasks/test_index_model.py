"""The index-model task against its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.index_model import N_TEST, IndexModel


def build(s: int, seed: int = 0, **settings: Any) -> Problem:
    return IndexModel(**settings).build(Axes(1, s), Streams(seed))


def directions(problem: Problem) -> np.ndarray:
    assert problem.directions is not None
    return problem.directions.dense().numpy()


LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "single": lambda z: (z[:, 0] ** 2 - 1) / math.sqrt(2),
    "sum": lambda z: (z[:, 0] ** 2 + z[:, 1] ** 2 - 2) / 2,
    "product": lambda z: z[:, 0] * z[:, 1],
}


@pytest.mark.parametrize("link", LINKS)
def test_labels_are_the_link_of_the_projections_rounded_once(link: str) -> None:
    problem = build(3, n=5000, d=20, link=link, noise=0.0)
    for x, y in ((problem.x, problem.y), (problem.x_test, problem.y_test)):
        expected = LINKS[link](x.double().numpy() @ directions(problem).T).astype(np.float32)
        np.testing.assert_allclose(y[:, 0].numpy(), expected, rtol=3e-7, atol=1e-8)
    assert (problem.metric, problem.loss, problem.truth) == ("r2", "squared", None)


def test_the_cubic_link() -> None:
    problem = build(3, n=50, d=20, degree=3, noise=0.0)
    z = problem.x.double().numpy() @ directions(problem)[0]
    np.testing.assert_allclose(problem.y[:, 0].numpy(), (z**3 - 3 * z) / math.sqrt(6), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"degree": 3}, {"link": "sum"}, {"link": "product"}])
def test_every_link_has_mean_0_and_variance_1(settings: dict[str, Any]) -> None:
    y = build(4, n=200_000, d=8, noise=0.0, **settings).y.double()
    assert abs(float(y.mean())) < 5 / 200_000**0.5
    assert float(y.var()) == pytest.approx(1.0, abs=0.06)


def test_the_noise_has_its_size_and_a_stream_of_its_own() -> None:
    clean, noisy = (build(4, n=20_000, d=8, noise=noise) for noise in (0.0, 0.5))
    assert torch.equal(clean.x, noisy.x)
    error = (noisy.y - clean.y).double()
    assert float(error.std()) == pytest.approx(0.5, rel=0.03)
    assert abs(float((error * clean.y).mean())) < 5 * 0.5 / 20_000**0.5


@pytest.mark.parametrize(("link", "r"), [("single", 1), ("product", 2)])
@pytest.mark.parametrize("q", [None, 0.5])
def test_directions_are_orthonormal_with_disjoint_supports(link: str, r: int, q: float | None) -> None:
    v = directions(build(5, n=2, d=21, link=link, q=q))
    assert v.shape == (r, 21)
    np.testing.assert_allclose(v @ v.T, np.eye(r), atol=1e-15)
    assert ((v != 0).sum(0) <= 1).all()
    if q is None:
        assert (np.sort(np.abs(v), axis=1)[:, -5:] == 1 / math.sqrt(5)).all()
        assert (v != 0).sum() == 5 * r
        return
    size = np.sort(np.abs(v[0]))[::-1][: 21 // r]
    np.testing.assert_allclose(size / size[0], [max(1.0, rank / 5) ** (-1 / q) for rank in range(1, 21 // r + 1)])


@pytest.mark.parametrize("degree", [2, 3])
def test_the_best_line_in_hermite_features_has_the_support_of_the_direction(degree: int) -> None:
    """``He_k(v.x)`` has the coefficient ``v_j^k`` on ``He_k(x_j)``; on x itself it has none."""
    plain, seen = (build(3, n=100_000, d=8, degree=degree, features=name) for name in ("coordinates", "hermite"))
    assert torch.equal(plain.y, seen.y)
    assert seen.x_test.shape == (N_TEST, 8)
    x = plain.x.double().numpy()
    expected = (x**2 - 1) / math.sqrt(2) if degree == 2 else (x**3 - 3 * x) / math.sqrt(6)
    np.testing.assert_allclose(seen.x.numpy(), expected, rtol=1e-4, atol=1e-5)
    for problem, wanted in ((seen, directions(seen)[0] ** degree), (plain, np.zeros(8))):
        found = np.linalg.lstsq(problem.x.double().numpy(), problem.y[:, 0].double().numpy())[0]
        np.testing.assert_allclose(found, wanted, atol=0.03)


def test_directions_are_drawn_evenly() -> None:
    places = np.array([directions(build(2, seed, n=2, d=6))[0] for seed in range(300)])
    share = (places != 0).mean(0)
    np.testing.assert_allclose(share, 1 / 3, atol=5 * (2 / 9 / 300) ** 0.5)
    assert abs(np.sign(places).sum()) < 5 * 600**0.5


def test_more_samples_extend_fewer_and_the_test_set_stays() -> None:
    few, many = build(3, n=100, d=12), build(3, n=5000, d=12)
    assert torch.equal(few.x, many.x[:100])
    assert torch.equal(few.y, many.y[:100])
    assert torch.equal(few.x_test, many.x_test)
    assert torch.equal(few.y_test, many.y_test)
    assert len(few.x_test) == N_TEST
    assert not torch.equal(few.x_test[:100], few.x)


@pytest.mark.parametrize(
    ("settings", "s", "message"),
    [
        ({"d": 5}, 6, "s=6 nonzeros are more than the d=5 coordinates"),
        ({"d": 5, "link": "sum"}, 3, "s=3 nonzeros for each of 2 directions are more than the d=5"),
        ({"d": 5, "clip_budget": True}, 6, "lower s or raise task.d"),
    ],
)
def test_directions_that_do_not_fit_are_refused(settings: dict[str, Any], s: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(s, n=10, **settings)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("--n", 1), "task.n"),
        (("--s", 33), "s=33 nonzeros are more than the d=32"),
        (("--set", "task.degree=4"), "2 or 3"),
        (("--set", "task.degree=3", "--set", "task.link=product"), "has degree 2"),
        (("--set", "task.q=2.0"), "task.q"),
        (("--set", "method.arm=prunned"), "'unpruned', 'pruned'"),
    ],
)
def test_bad_input_exits_with_2_and_a_message(mlpiht: Callable[..., Any], bad: tuple[Any, ...], message: str) -> None:
    base = ("fit", "--method", "feature_learning", "--task", "index_model", "--m", 4, "--s", 2, "--d", 32, "--n", 64)
    assert mlpiht(*base).code == 0
    result = mlpiht(*base, *bad)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_the_oracle_needs_a_truth(mlpiht: Callable[..., Any]) -> None:
    for method, field in (("feature_learning", "arm"), ("mlp", "mask")):
        args = ("--task", "planted", "--m", 2, "--s", 2, "--n", 20, "--set", f"method.{field}=oracle")
        result = mlpiht("fit", "--method", method, *args)
        assert result.code == 2
        assert "needs a task with planted directions" in result.err


def test_generate_writes_the_directions(mlpiht: Callable[..., Any]) -> None:
    args = ("--m", 1, "--s", 3, "--n", 10, "--d", 8, "--set", "task.link=sum")
    assert mlpiht("generate", "index_model", *args, "--out", "data.npz").code == 0
    with np.load("data.npz") as data:
        v = data["directions"]
    np.testing.assert_allclose(v.T @ v, np.eye(2), atol=1e-12)


def test_methods_are_told_the_degree_and_the_rule_that_sees_it() -> None:
    assert IndexModel().hints == {"degree": 2, "rule": "even"}
    assert IndexModel(degree=3).hints == {"degree": 3, "rule": "odd"}
    assert IndexModel(link="sum").hints == {"degree": 2, "rule": "even"}
    assert IndexModel(link="product").hints == {"degree": 2, "rule": "row_max"}
