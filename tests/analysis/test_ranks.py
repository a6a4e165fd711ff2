"""Ranks, their tests and groups: the worked example of the paper, and small cases by hand."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from mlpiht_cli.analysis.ranks import Ranks, critical_difference

DEMSAR = """
0.763 0.768 0.771 0.798
0.599 0.591 0.590 0.569
0.954 0.971 0.968 0.967
0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898
0.936 0.931 0.916 0.931
0.661 0.668 0.609 0.685
0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875
1.000 1.000 1.000 1.000
0.940 0.962 0.965 0.962
0.619 0.666 0.614 0.669
0.972 0.981 0.9751 0.975
0.957 0.978 0.946 0.970
"""
"""AUC of C4.5 with and without two settings on 14 data sets: Table 6 of Demsar (2006), where the two values 0.975 have
unequal ranks, because they are rounded."""
NAMES = ("C4.5", "+m", "+cf", "+m+cf")


def ranked(scores: object, seeds: list[int] | None = None) -> Ranks:
    found = np.array(scores, dtype=float)
    return Ranks(tuple("abcdefgh"[: found.shape[1]]), found, tuple(seeds or range(len(found))))


def ranked_many(scores: list[list[float]]) -> Ranks:
    return Ranks(tuple(map(str, range(len(scores[0])))), np.array(scores, dtype=float), tuple(range(len(scores))))


def test_the_example_of_the_paper() -> None:
    found = Ranks(NAMES, np.array([line.split() for line in DEMSAR.split("\n") if line], dtype=float), (0,) * 14)
    assert found.mean.round(3).tolist() == [3.143, 2.000, 2.893, 1.964]
    chi_squared = 12 * 14 / (4 * 5) * ((found.mean**2).sum() - 4 * 25 / 4)
    assert chi_squared == pytest.approx(9.28, abs=0.01)
    assert found.difference == pytest.approx(1.25, abs=0.005)
    assert found.p_value is not None
    assert 0.01 < found.p_value < 0.025, "chi squared of 9.28 has 0.026; ties make the test a little sharper"
    assert found.order == [3, 1, 2, 0]
    assert found.groups == [[3, 1, 2, 0]], "3.143 and 1.964 are 1.18 apart"


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)])
def test_critical_values_are_those_of_the_paper(methods: int, q: float) -> None:
    """Table 5 (a) of Demsar (2006), which has 2.343 for three."""
    for blocks in (1, 30):
        difference = critical_difference(methods, blocks)
        assert difference / math.sqrt(methods * (methods + 1) / (6 * blocks)) == pytest.approx(q, abs=1.1e-3)
    assert critical_difference(methods, 30, alpha=0.1) < critical_difference(methods, 30)


def test_ranks_by_hand() -> None:
    found = ranked([[3, 1, 2], [5, 5, 1], [math.inf, math.inf, 9], [-math.inf, 2, -math.inf], [4, 4, 4]])
    assert found.ranks.tolist() == [[1, 3, 2], [1.5, 1.5, 3], [1.5, 1.5, 3], [2.5, 1, 2.5], [2, 2, 2]]
    assert found.mean.tolist() == pytest.approx([1.7, 1.8, 2.5])
    assert found.order == [0, 1, 2]
    doubled = ranked(np.array(found.scores) * 2)
    assert doubled.mean.tolist() == found.mean.tolist(), "only the order counts"


def test_groups_are_the_longest_runs_within_the_critical_difference() -> None:
    """Mean ranks 1, 2, 3, 4, 5 with 40 blocks have a CD of 0.96; with 10 one of 1.93."""
    order = np.arange(5, 0, -1.0)
    far = ranked([order] * 40)
    assert far.difference < 1
    assert far.groups == []
    near = ranked([order] * 10)
    assert 1 < near.difference < 2
    assert near.groups == [[0, 1], [1, 2], [2, 3], [3, 4]]
    few = ranked([order] * 5)
    assert 2 < few.difference < 3
    assert few.groups == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    for found, (i, j) in product((far, near, few), product(range(5), repeat=2)):
        together = i == j or any(i in group and j in group for group in found.groups)
        assert together == (abs(i - j) < found.difference)


def test_equal_methods_are_in_one_group() -> None:
    equal = ranked([[1, 1, 1]] * 6)
    assert (equal.p_value, equal.groups) == (1.0, [[0, 1, 2]])
    turning = ranked([[1, 2, 3], [2, 3, 1], [3, 1, 2]] * 20)
    assert turning.p_value == pytest.approx(1.0)
    assert turning.groups == [[0, 1, 2]]
    assert ranked([[1, 2]] * 9).p_value is None, "Friedman's test is for three and more"
    assert ranked([[1, 2, 3]]).p_value is None


def test_one_pair_far_apart_is_no_difference_where_the_ranks_as_a_whole_have_none() -> None:
    """Of 15 methods the first is 4th and the second 12th in all blocks, and the others are in any order."""
    g, rest = np.random.RandomState(0), [rank for rank in range(1, 16) if rank not in (4, 12)]
    found = ranked_many([[-4, -12, *(-g.permutation(rest))] for _ in range(8)])
    assert found.p_value is not None
    assert found.p_value > 0.05
    assert found.mean[1] - found.mean[0] > found.difference
    assert found.groups == [found.order]


def test_intervals_are_over_the_seeds() -> None:
    """Two seeds with the means 1 and 3: a draw has 1, 2 or 3 with shares 1/4, 1/2, 1/4."""
    found = ranked([[3, 2, 1]] * 4 + [[1, 2, 3]] * 4, [0] * 4 + [1] * 4)
    assert found.intervals is not None
    assert found.intervals.tolist() == [[1, 3], [2, 2], [1, 3]]
    same = ranked([[3, 2, 1]] * 8, [0, 1, 2, 3] * 2)
    assert same.intervals is not None
    assert same.intervals.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert ranked([[3, 2, 1]] * 4, [7] * 4).intervals is None
    chance = ranked(np.random.RandomState(0).normal(size=(300, 4)), [i % 60 for i in range(300)])
    assert chance.intervals is not None
    widths = chance.intervals[:, 1] - chance.intervals[:, 0]
    normal = 2 * 1.96 * chance.ranks.reshape(5, 60, 4).mean(axis=0).std(axis=0) / math.sqrt(60)
    assert widths.tolist() == pytest.approx(normal.tolist(), rel=0.1)
    again = ranked(chance.scores, list(chance.seeds))
    assert again.intervals is not None
    assert again.intervals.tolist() == chance.intervals.tolist()
