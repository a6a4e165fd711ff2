from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.threshold import StreamedTopS, hard_threshold, top_s, top_s_padded

# Few distinct magnitudes, so that ties are the rule.
vectors = st.lists(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=40)


def by_sorting(values: list[float], s: int) -> list[int]:
    """Independent definition: sort by falling magnitude, then by position; drop zeros."""
    order = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))
    return sorted(i for i in order[:s] if values[i] != 0.0)


@given(vectors, st.integers(1, 50))
def test_top_s_is_the_sorted_definition(values: list[float], s: int) -> None:
    kept = top_s(torch.tensor(values), s).tolist()
    assert kept == by_sorting(values, s)
    assert len(kept) <= s


@given(vectors, st.integers(1, 50), st.lists(st.integers(1, 7), min_size=40, max_size=40))
def test_streamed_top_s_is_the_full_one(values: list[float], s: int, sizes: list[int]) -> None:
    vector, stream, start = torch.tensor(values), StreamedTopS(s), 0
    for size in sizes:
        tile = vector[start : start + size]
        if len(tile):
            stream.push(torch.arange(start, start + len(tile)), tile)
        start += size
    index, kept = stream.result()
    assert index.tolist() == by_sorting(values, s)
    assert torch.equal(kept, vector[index])


def test_nan_is_kept_so_that_divergence_stays_visible() -> None:
    assert top_s(torch.tensor([1.0, torch.nan, 3.0]), 1).tolist() == [1]


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        top_s(torch.ones(3), 0)


@given(st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.0, -3.0, math.nan]), min_size=1, max_size=30), st.integers(1, 12))
def test_the_padded_form_is_the_same_and_as_long_as_told(entries: list[float], s: int) -> None:
    values = torch.tensor(entries)
    padded = top_s_padded(values, s)
    assert len(padded) == min(s, len(values))
    assert padded[padded < len(values)].tolist() == top_s(values, s).tolist()
    assert set(padded[padded >= len(values)].tolist()) <= {len(values)}


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 5))
def test_a_padded_stream_keeps_what_the_plain_one_keeps(seed: int, s: int, tile: int) -> None:
    rng = np.random.RandomState(seed)
    values = torch.from_numpy(rng.normal(size=17) * (rng.uniform(size=17) < 0.4))
    plain, padded = StreamedTopS(s), StreamedTopS(s, padding=17)
    for start in range(0, 17, tile):
        part = torch.arange(start, min(start + tile, 17))
        plain.push(part, values[part])
        padded.push(part, values[part])
    index, kept = padded.result()
    real = kept != 0
    assert len(index) == min(s, 17)
    assert index[real].tolist() == plain.result()[0].tolist()
    assert kept[real].tolist() == plain.result()[1].tolist()
    assert set(index[~real].tolist()) <= {17}


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=12), st.integers(1, 13))
def test_the_form_for_short_vectors_keeps_what_top_s_keeps(values: list[float], s: int) -> None:
    vector = np.array(values)
    kept = top_s(torch.tensor(values), s).numpy()
    expected = np.zeros(len(values))
    expected[kept] = vector[kept]
    np.testing.assert_array_equal(hard_threshold(vector, s), expected)
    np.testing.assert_array_equal(vector, values, err_msg="the argument is left alone")
