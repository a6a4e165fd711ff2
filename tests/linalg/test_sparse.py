from __future__ import annotations

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
