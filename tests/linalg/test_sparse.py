from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.sparse import SparseMatrix


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**20))
def test_dense_and_back(rows: int, cols: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    dense = torch.randint(-1, 2, (rows, cols), generator=generator).double()
    matrix = SparseMatrix.from_dense(dense)
    assert torch.equal(matrix.dense(), dense)
    assert matrix.nnz == int((dense != 0).sum())
    assert matrix.live_rows().tolist() == [i for i in range(rows) if dense[i].any()]
    some = torch.arange(0, rows, 2)
    assert torch.equal(matrix.dense_rows(some), dense[some])


def test_a_stored_zero_is_no_nonzero() -> None:
    matrix = SparseMatrix(torch.tensor([0, 3]), torch.tensor([0.0, 2.0]), 2, 2)
    assert matrix.nnz == 1
    assert matrix.live_rows().tolist() == [1]


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_slots_hold_the_live_rows_and_then_count_on(rows: int, cols: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    dense = torch.from_numpy(rng.normal(size=(rows, cols)) * (rng.uniform(size=(rows, cols)) < 0.4))
    matrix = SparseMatrix.from_dense(dense)
    slots = matrix.row_slots()
    live = matrix.live_rows()
    assert len(slots) == min(matrix.nnz, rows)
    assert slots[: len(live)].tolist() == live.tolist()
    assert bool((slots[len(live) :] >= rows).all())
    assert slots.tolist() == sorted(set(slots.tolist()))
    assert not matrix.dense_rows(slots)[len(live) :].any()


def test_compact_drops_zeros_and_what_stands_for_none() -> None:
    matrix = SparseMatrix(torch.tensor([1, 3, 6, 6]), torch.tensor([2.0, 0.0, 0.0, 5.0]), 2, 3)
    assert matrix.compact().index.tolist() == [1]
    assert matrix.compact().values.tolist() == [2.0]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**20))
def test_a_transposed_matrix_is_the_dense_one_transposed(rows: int, cols: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    dense = torch.from_numpy(rng.normal(size=(rows, cols)) * (rng.uniform(size=(rows, cols)) < 0.5))
    matrix = SparseMatrix.from_dense(dense)
    turned = matrix.transposed()
    assert (turned.rows, turned.cols) == (cols, rows)
    assert torch.equal(turned.dense(), dense.T)
    assert turned.index.tolist() == sorted(set(turned.index.tolist())), "ascending, as the entries of every matrix"
    assert turned.transposed().equals(matrix)
