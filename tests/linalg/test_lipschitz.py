from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import CellSkipped
from mlpiht_cli.linalg.lipschitz import exact_at_zero, monte_carlo, sparse_vectors
from mlpiht_cli.linalg.smooth import SMOOTH_LOSSES, SmoothLoss, Softmax, Squares
from mlpiht_cli.linalg.subsets import subsets
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.iris import Iris


@pytest.fixture(scope="module")
def iris() -> Softmax:
    problem = Iris().build(Axes(1, 5), Streams(0))
    return Softmax(problem.x, problem.y)


def pairs(loss: SmoothLoss, s: int, scale: float = 1.0, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    generator = Streams(0).pairs()
    a, b = (scale * sparse_vectors(generator, count, loss.size, s) for _ in range(2))
    return a, b


def drawn(kind: str, seed: int) -> SmoothLoss:
    rng = np.random.RandomState(seed)
    x, y = torch.from_numpy(rng.normal(size=(9, 3))), torch.eye(2)[rng.randint(2, size=9)]
    return SMOOTH_LOSSES[kind](x, y, 0.05 * (seed % 3))


def test_sparse_vectors_have_s_nonzeros_anywhere() -> None:
    vectors = sparse_vectors(Streams(1).start(), 4000, 6, 2)
    assert ((vectors != 0).sum(axis=1) == 2).all()
    np.testing.assert_allclose((vectors != 0).mean(axis=0), 1 / 3, atol=0.03)
    assert abs(vectors[vectors != 0].std() - 1.0) < 0.03
    assert (sparse_vectors(Streams(1).start(), 5, 6, 99) != 0).all()


@pytest.mark.parametrize("kind", ["cross_entropy", "squared"])
@given(seed=st.integers(0, 999), s=st.integers(1, 6), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_both_estimates_are_the_formulas_and_below_the_bound(kind: str, seed: int, s: int, scale: float) -> None:
    loss = drawn(kind, seed)
    a, b = pairs(loss, s, scale, 20)
    found = monte_carlo(loss, a, b)
    assert max(found.descent, found.gradient) <= loss.bound() * (1 + 1e-9)
    descents, gradients = [], []
    for one, other in zip(a, b, strict=True):
        (f, g), (fo, go) = loss.value_and_gradient(one), loss.value_and_gradient(other)
        union, gap = (one != 0) | (other != 0), float(((other - one) ** 2).sum())
        descents.append(2 * (fo - f - g @ (other - one)) / gap)
        gradients.append(np.linalg.norm((g - go)[union]) / np.sqrt(gap))
    np.testing.assert_allclose((found.descent, found.gradient), (max(descents), max(gradients)), rtol=1e-6)


def test_estimates_on_a_quadratic_are_its_curvature() -> None:
    """One weight, mean of squares: f = c w^2 + ..., so that both estimates are 2 c whatever the pair."""
    loss = Squares(torch.tensor([[3.0], [1.0]]), torch.tensor([[0.3], [0.1]]))
    found = monte_carlo(loss, *pairs(loss, 1))
    np.testing.assert_allclose((found.descent, found.gradient, exact_at_zero(loss, 1)), 10.0, rtol=1e-6)


def test_chunks_and_equal_points_do_not_matter(iris: Softmax) -> None:
    a, b = pairs(iris, 5, count=5000)
    whole = monte_carlo(iris, a, b)
    parts = [monte_carlo(iris, a[i : i + 700], b[i : i + 700]) for i in range(0, 5000, 700)]
    assert whole.descent == pytest.approx(max(part.descent for part in parts), rel=1e-12)
    assert whole.gradient == pytest.approx(max(part.gradient for part in parts), rel=1e-12)
    same = np.concatenate([a, b]), np.concatenate([b, b])
    assert monte_carlo(iris, *same).gradient == pytest.approx(whole.gradient, rel=1e-12)
    assert monte_carlo(iris, a[:3], a[:3]).descent == 0.0


@pytest.mark.parametrize("s", range(3, 13))
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_on_iris_both_estimates_are_below_the_bound(iris: Softmax, s: int, scale: float) -> None:
    found = monte_carlo(iris, *pairs(iris, s, scale))
    assert 0.0 < found.descent <= iris.bound()
    assert 0.0 < found.gradient <= iris.bound()


def test_on_iris_the_exact_value_at_zero_is_that_of_every_subset(iris: Softmax) -> None:
    """Written out over all C(15, 6) = 5005 subsets; the trial of the protocol has .97 at s = 5."""
    gram = iris.x.T @ iris.x / len(iris.x)
    hessian = np.kron(np.eye(3) / 3 - np.ones((3, 3)) / 9, gram)
    every = [list(subset) for subset in combinations(range(15), 6)]
    assert len(every) == 5005
    tops = np.linalg.norm([hessian[np.ix_(kept, kept)] for kept in every], ord=2, axis=(1, 2))
    assert exact_at_zero(iris, 3) == pytest.approx(float(tops.max()), rel=1e-12)
    assert exact_at_zero(iris, 5) == pytest.approx(0.97, abs=0.01)


def test_on_iris_the_exact_value_at_zero_rises_with_s_to_two_thirds_of_the_bound(iris: Softmax) -> None:
    values = [exact_at_zero(iris, s) for s in range(1, 9)]
    assert (np.diff(values) >= -1e-12).all()
    assert values[-1] == pytest.approx(2 / 3 * iris.bound())  # 1/3 in place of 1/2
    assert values[0] < 0.9 * values[-1]


def test_estimates_near_zero_approach_the_exact_value_from_below(iris: Softmax) -> None:
    found = monte_carlo(iris, *pairs(iris, 5, 1e-3, count=20000))
    exact = exact_at_zero(iris, 5)
    assert 0.75 * exact < found.gradient <= exact * (1 + 1e-3)
    assert 0.75 * exact < found.descent <= exact * (1 + 1e-3)


def test_subsets_are_all_there_in_chunks_and_not_too_many() -> None:
    chunks = list(subsets(15, 7))
    assert [len(chunk) for chunk in chunks] == [2048, 2048, 2048, 6435 - 3 * 2048]
    assert len({tuple(one) for chunk in chunks for one in chunk.tolist()}) == 6435
    with pytest.raises(CellSkipped, match="847660528 subsets of 10 out of 40"):
        next(subsets(40, 10))
