"""What a filter leaves of a panel's axes is the grid of the points that it admits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.specs.expand import Expansion, expand
from mlpiht_cli.specs.filters import Filter, parse_only
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.schema import Spec
from tests.hand import VARIED

METHODS = (
    "  - {name: iht_linear, steps: 3}\n"
    "  - {name: iht_linear, label: short, steps: 2, seeds: [1]}\n"
    "  - {name: zero, seeds: [0]}\n"
)


def expansion() -> Expansion:
    text = VARIED.replace("  - {name: iht_linear, steps: 3}\n", METHODS)
    return expand(Spec.model_validate(parse(text, Path("varied.yaml")).data))


EVERY = expansion()

NUMBERS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["depth", "m", "s", "seed", "n", "d"]),
    st.sampled_from(["<", "<=", "=", "!=", ">=", ">"]),
    st.sampled_from(["0", "1", "2", "8", "16", "20", "1|2", "10|40"]),
)
WORDS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["panel", "task", "method", "label"]),
    st.sampled_from(["=", "!="]),
    st.sampled_from(["a", "b", "a|b", "gaussian_sparse", "iht_linear", "zero", "short", "short|zero"]),
)


@given(st.lists(NUMBERS | WORDS, min_size=1, max_size=3).map(",".join))
def test_the_parts_of_a_filter_are_the_points_that_it_admits(text: str) -> None:
    wanted = parse_only(text)
    parts = wanted.parts(EVERY)
    points = [point for part in parts for point in part.points()]
    assert points == [point for point in EVERY.points if wanted.admits(point)]
    assert len(points) == sum(part.total for part in parts)
    assert all(part.total for part in parts), "a part without points is none"


def test_no_filter_admits_all() -> None:
    assert parse_only(None) == Filter()
    assert Filter().parts(EVERY) == list(EVERY.grids)
    assert EVERY.total == len(EVERY.points) == (2 + 1 + 1) * (2 * 3 * 2 + 1)


@pytest.mark.parametrize(("label", "seeds"), [("iht_linear", {0, 1}), ("short", {1}), ("zero", {0}), ("mlp", set())])
def test_a_label_has_the_seeds_of_its_method(label: str, seeds: set[int]) -> None:
    assert {frozenset(grid.seeds_under(label)) for grid in EVERY.grids} == {frozenset(seeds)}
