"""The condition of the theorem: budgets, and the four verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpiht_cli.rng import Streams
from mlpiht_cli.theory.bounds import Eigenvalues
from mlpiht_cli.theory.columns import UnitColumns
from mlpiht_cli.theory.patterns import Patterns
from mlpiht_cli.theory.verdict import least_budget, verdict


def eigenvalues(n: int, d: int, p: int, gates: np.ndarray | None = None) -> Eigenvalues:  # type: ignore[type-arg]
    generator = np.random.default_rng(0)
    x = generator.standard_normal((n, d))
    vectors = generator.standard_normal((p, d)) if gates is None else gates
    columns = UnitColumns(np.ascontiguousarray(x.T), Patterns(vectors @ x.T > 0))
    return Eigenvalues(columns, Streams(0).supports())


@pytest.mark.parametrize("s", [1, 2, 5])
@pytest.mark.parametrize("growth", [0.0, 0.001, 0.01])
def test_the_least_budget_is_the_first_that_satisfies_the_condition(s: int, growth: float) -> None:
    size = 100_000

    def kappa(k: int) -> float:
        return 1.0 + growth * math.sqrt(k)

    found = least_budget(s, size, kappa)
    first = next(b for b in range(1, size) if b >= 32 * kappa(min(2 * b + s, size)) ** 2 * s - 1e-9)
    assert found == first


def test_a_budget_of_all_columns_is_met_where_none_below_it_suffices() -> None:
    assert least_budget(3, 50, lambda k: 1.0) >= 50
    assert math.isinf(least_budget(3, 5000, lambda k: math.inf if k > 100 else 1.0))


def test_it_applies_to_one_weight_of_one_neuron() -> None:
    found = verdict(eigenvalues(50_000, 100, 1), 1)
    assert found.answer == "applies"
    assert found.needed_found <= found.needed_certified < 100


def test_one_weight_more_is_least_squares_only() -> None:
    found = verdict(eigenvalues(50_000, 100, 1), 2)
    assert found.answer == "least squares only"
    assert "rank 100" in found.reason


def test_duplicates_fail() -> None:
    gates = np.ones((2, 30)) * np.array([[1.0], [2.0]])
    found = verdict(eigenvalues(5000, 30, 2, gates), 1)
    assert found.answer == "fails"
    assert "dependent" in found.reason
    assert math.isinf(found.needed_found)


def test_two_antipodal_pairs_fail() -> None:
    """D_h X + D_-h X = D_g X + D_-g X: four columns of one feature are dependent."""
    h, g = np.random.default_rng(1).standard_normal((2, 12))
    found = eigenvalues(4000, 12, 4, np.stack([h, -h, g, -g]))
    assert found.columns.patterns.antipodal_pairs == 2
    assert found.bracket(3).alpha_found > 1e-3
    assert found.bracket(4).alpha_found == 0
    assert found.bracket(4).alpha_support.tolist() == [found.bracket(4).alpha_support[0] + 12 * j for j in range(4)]
    assert verdict(found, 1).answer == "fails"


def test_more_columns_than_samples_fail_where_the_condition_is_refuted() -> None:
    assert verdict(eigenvalues(300, 40, 10), 5).answer == "fails"


def test_what_is_neither_refuted_nor_certain_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The case that applies, as if its columns were too many for one Gram matrix."""
    monkeypatch.setattr("mlpiht_cli.theory.dictionary._MOST", 64)
    found = verdict(eigenvalues(50_000, 100, 1), 1)
    assert found.answer == "undecided"
    assert found.needed_found < 100
    assert math.isinf(found.needed_certified)


def test_a_given_budget_is_judged_alone() -> None:
    one = eigenvalues(50_000, 100, 1)
    assert verdict(one, 1, budget=60).answer == "applies"
    small = verdict(one, 1, budget=40)
    assert small.answer == "fails"
    assert "s~ = 40" in small.reason
    assert f"the least is {verdict(one, 1).needed_found:g}" in small.reason


def test_the_verdict_does_not_depend_on_the_scale_of_a_feature() -> None:
    one = eigenvalues(2000, 20, 3)
    scaled = UnitColumns(one.columns.features * np.arange(1, 21)[:, None], one.columns.patterns)
    other = Eigenvalues(scaled, Streams(0).supports())
    for k in (2, 9):
        assert other.bracket(k).alpha_found == pytest.approx(one.bracket(k).alpha_found, rel=1e-9)
        assert other.bracket(k).beta_found == pytest.approx(one.bracket(k).beta_found, rel=1e-9)
