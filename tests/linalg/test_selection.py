"""Selection of coordinates against the formulas, automatic gradients, and what it must not depend on."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg import selection
from mlpiht_cli.linalg.hermite import hermite
from mlpiht_cli.linalg.selection import Rule, coordinate_scores, true_coordinates
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s

RULES = get_args(Rule)


def data(n: int, d: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.RandomState(seed)
    return torch.from_numpy(rng.normal(size=(n, d))), torch.from_numpy(rng.normal(size=n))


def gradient(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, relu: bool) -> torch.Tensor:
    """Gradient of mean(y phi(w.x)) by autograd."""
    w = w.clone().requires_grad_()
    z = x @ w
    (y * (z.relu() if relu else z**3 / 3 - z)).mean().backward()
    assert w.grad is not None
    return w.grad


@pytest.mark.parametrize("rule", RULES)
def test_scores_are_gradients_at_the_unit_vectors(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_ROWS", 7)
    x, y = data(40, 5)
    expected = []
    for j, e in enumerate(torch.eye(5, dtype=torch.float64)):
        if rule == "odd":
            expected.append(float(gradient(x, y, e, relu=False)[j].abs()))
        else:
            even = (gradient(x, y, e, relu=True) - gradient(x, y, -e, relu=True)).abs()
            expected.append(float(even[j] if rule == "even" else even.max()))
    np.testing.assert_allclose(coordinate_scores(x, y, rule).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 10_000))
def test_selection_turns_with_names_and_signs_of_coordinates(rule: Rule, seed: int) -> None:
    rng = np.random.RandomState(seed)
    x, y = data(30, 8, seed)
    order, signs = rng.permutation(8), torch.from_numpy(rng.choice([-1.0, 1.0], 8))
    kept = top_s(coordinate_scores(x, y, rule), 3)
    turned = top_s(coordinate_scores((x * signs)[:, order], y, rule), 3)
    assert {int(order[j]) for j in turned} == set(kept.tolist())


def test_a_rotation_changes_the_selection() -> None:
    """That the basis matters is the point of pruning: the first coordinate is found, its rotated image is not."""
    x, _ = data(4000, 16)
    y = hermite(x[:, 0], 2)
    rotation = torch.linalg.qr(torch.from_numpy(np.random.RandomState(1).normal(size=(16, 16)))).Q
    first, second = coordinate_scores(x, y, "even").sort(descending=True).values[:2]
    assert first > 3 * second
    first, second = coordinate_scores(x @ rotation, y, "even").sort(descending=True).values[:2]
    assert first < 3 * second


def test_the_diagonal_is_blind_to_products_and_the_row_maximum_is_not() -> None:
    x, _ = data(20_000, 6)
    y = x[:, 0] * x[:, 1]
    error = 5 / 20_000**0.5
    assert float(coordinate_scores(x, y, "even").max()) < error
    row_max = coordinate_scores(x, y, "row_max")
    # E[x_1 x_2 sign(x_1) x_2] = E|x_1| = sqrt(2 / pi)
    np.testing.assert_allclose(row_max[:2], (2 / np.pi) ** 0.5, atol=error)
    assert float(row_max[2:].max()) < error


def test_true_coordinates_are_the_heaviest_of_the_directions() -> None:
    v = SparseMatrix.from_dense(torch.tensor([[0.0, 0.6, 0.0, -0.8, 0.0, 0.0], [0.1, 0.0, 0.0, 0.0, 0.9, 0.0]]))
    assert true_coordinates(v, 9).tolist() == [0, 1, 3, 4], "others are no coordinates of theirs"
    assert true_coordinates(v, 2).tolist() == [3, 4]
    with pytest.raises(ValueError, match="no planted directions"):
        true_coordinates(None, 2)
