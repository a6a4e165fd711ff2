"""Supports of extreme eigenvalues: against all supports, and against what is certain."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlpiht_cli.rng import Streams
from mlpiht_cli.theory.bounds import Eigenvalues
from mlpiht_cli.theory.columns import UnitColumns
from mlpiht_cli.theory.patterns import Patterns
from mlpiht_cli.theory.supports import Search

Array = NDArray[np.float64]


def problem(seed: int, n: int, d: int, p: int) -> UnitColumns:
    """Unit columns of p random gates on n samples of d features."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, d))
    return UnitColumns(np.ascontiguousarray(x.T), Patterns(generator.standard_normal((p, d)) @ x.T > 0))


def matrix(columns: UnitColumns) -> Array:
    """The columns that are not zero, one by one, over their norms ``[n, N]``."""
    masks, x = columns.patterns.masks, columns.features
    every = np.array([masks[j] * x[a] for j in range(len(masks)) for a in range(len(x))], dtype=float).T
    norms = np.linalg.norm(every, axis=0)
    return np.asarray(every[:, norms > 0] / norms[norms > 0])


def extremes(a: Array, k: int) -> tuple[float, float]:
    """Least and largest squared singular value over all supports of k columns."""
    found = [np.linalg.svd(a[:, s], compute_uv=False) for s in combinations(range(a.shape[1]), k)]
    least = min(0.0 if len(one) < k else float(one[-1]) ** 2 for one in found)
    return least, max(float(one[0]) ** 2 for one in found)


def test_the_gram_matrix_is_that_of_the_columns() -> None:
    columns = problem(0, 50, 4, 3)
    a = matrix(columns)
    np.testing.assert_allclose(columns.gram(columns.index), a.T @ a, atol=1e-13)
    np.testing.assert_allclose(columns.gram(columns.index[[1, 5]]), (a.T @ a)[np.ix_([1, 5], [1, 5])], atol=1e-13)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(3, 30), st.integers(1, 4), st.integers(1, 3), st.integers(1, 6))
def test_certified_is_below_exact_is_below_found(seed: int, n: int, d: int, p: int, k: int) -> None:
    columns = problem(seed, n, d, p)
    if not len(columns.index):
        return
    k = min(k, len(columns.index))
    bracket, (least, most) = Eigenvalues(columns, Streams(seed).supports()).bracket(k), extremes(matrix(columns), k)
    assert bracket.alpha_certified <= least + 1e-12
    assert least <= bracket.alpha_found + 1e-12
    assert bracket.beta_found <= most + 1e-12
    assert most <= bracket.beta_certified + 1e-12
    assert bracket.alpha_random is not None
    assert bracket.alpha_random >= bracket.alpha_found - 1e-12


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(10))
def test_the_search_without_enumeration_is_within_a_tenth(seed: int, k: int) -> None:
    columns = problem(seed, 200, 5, 3)
    gram, (least, most) = columns.gram(columns.index), extremes(matrix(columns), k)
    low = Search(gram, *np.divmod(columns.index, 5)).searched(k)
    high = Search(-gram, *np.divmod(columns.index, 5)).searched(k)
    assert least - 1e-12 <= low.value <= 1.1 * least
    assert most / 1.1 <= -high.value <= most + 1e-12


@pytest.mark.parametrize("k", [2, 7, 30])
def test_a_found_support_has_the_eigenvalue_that_is_said_of_it(k: int) -> None:
    columns = problem(3, 300, 12, 5)
    bracket = Eigenvalues(columns, Streams(0).supports()).bracket(k)
    for index, value, place in (
        (bracket.alpha_support, bracket.alpha_found, 0),
        (bracket.beta_support, bracket.beta_found, -1),
    ):
        masks, x = columns.patterns.masks, columns.features
        a = np.stack([masks[c // 12] * x[c % 12] for c in index], 1)
        values = np.linalg.eigvalsh((a / np.linalg.norm(a, axis=0)).T @ (a / np.linalg.norm(a, axis=0)))
        assert len(index) == len(np.unique(index)) == k
        assert values[place] == pytest.approx(value, abs=1e-12)


def test_bounds_are_monotone_in_k() -> None:
    found = Eigenvalues(problem(5, 400, 15, 6), Streams(0).supports()).brackets(range(2, 90, 7))
    for smaller, larger in pairwise(found):
        assert larger.alpha_found <= smaller.alpha_found
        assert larger.beta_found >= smaller.beta_found
        assert larger.alpha_certified <= smaller.alpha_certified + 1e-12
        assert larger.beta_certified >= smaller.beta_certified - 1e-12


def test_random_supports_miss_what_the_search_finds() -> None:
    """Random supports overestimate alpha and underestimate beta by far (the page's sizes, fewer samples)."""
    bracket = Eigenvalues(problem(0, 4000, 60, 8), Streams(0).supports()).bracket(60)
    assert bracket.alpha_random is not None
    assert bracket.beta_random is not None
    assert bracket.alpha_found < bracket.alpha_random / 1.5
    assert bracket.beta_found > 1.5 * bracket.beta_random


def test_a_large_dictionary_is_examined_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found in a part bounds the whole; nothing is certain but the trace."""
    columns = problem(2, 500, 10, 12)
    whole = Eigenvalues(columns, Streams(0).supports())
    assert whole.complete
    monkeypatch.setattr("mlpiht_cli.theory.dictionary._MOST", 64)
    part = Eigenvalues(columns, Streams(0).supports())
    assert not part.complete
    for k in (2, 10, 40):
        all_of_it, some = whole.bracket(k), part.bracket(k)
        assert some.alpha_certified == 0
        assert some.beta_certified == k
        assert all_of_it.alpha_certified <= some.alpha_found
        assert some.beta_found <= all_of_it.beta_certified
        assert some.alpha_found < 1.3 * all_of_it.alpha_found
        assert some.beta_found > all_of_it.beta_found / 1.3
