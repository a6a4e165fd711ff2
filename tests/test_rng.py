from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.rng import Streams


@given(st.integers(1, 9), st.integers(0, 30), st.integers(1, 20), st.integers(0, 99))
def test_a_gate_is_the_same_in_any_tile(dim: int, start: int, count: int, seed: int) -> None:
    stream = Streams(seed).gates(dim)
    whole = stream.rows(0, start + count)
    assert whole.shape == (start + count, dim)
    np.testing.assert_array_equal(stream.rows(start, start + count), whole[start:])


def test_gates_are_standard_normal() -> None:
    z = Streams(0).gates(100).rows(0, 5000)
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1.0) < 0.01
    assert abs((z**4).mean() - 3.0) < 0.1
    # No correlation between the halves of a row, which the transform makes from the same uniforms.
    assert abs((z[:, :50] * z[:, 50:]).mean()) < 0.01
    assert abs((z[1:] * z[:-1]).mean()) < 0.01


def test_streams_of_different_seeds_differ() -> None:
    assert not np.allclose(Streams(0).gates(4).rows(0, 3), Streams(1).gates(4).rows(0, 3))
    assert (Streams(0).split().permutation(50) != Streams(1).split().permutation(50)).any()
