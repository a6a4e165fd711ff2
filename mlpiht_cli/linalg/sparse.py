"""Sparse weight matrices that store only their nonzeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array
    from torch import Tensor


def coordinates(rows: Tensor, cols: int) -> Tensor:
    """Return the indices ``row * cols + col`` of all entries of the given rows, int64 ``[len(rows) * cols]``."""
    return (rows[:, None] * cols + torch.arange(cols, device=rows.device)).flatten()


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix of ``rows x cols`` given by its nonzeros; a row is a neuron, a column an input.

    Attributes
    ----------
    index
        int64, shape ``[nnz]``, ascending: ``row * cols + col``.
    values
        Shape ``[nnz]``.
    """

    index: Tensor
    values: Tensor
    rows: int
    cols: int

    @classmethod
    def zeros(cls, rows: int, cols: int, like: Tensor) -> SparseMatrix:
        """Return the zero matrix with the dtype and device of ``like``."""
        return cls(torch.empty(0, dtype=torch.int64, device=like.device), like.new_empty(0), rows, cols)

    @classmethod
    def from_dense(cls, matrix: Tensor) -> SparseMatrix:
        """Make a sparse matrix of the nonzeros of ``matrix``, shape ``[rows, cols]``."""
        flat = matrix.reshape(-1)
        index = torch.nonzero(flat).flatten()
        return cls(index, flat[index], matrix.shape[0], matrix.shape[1])

    @property
    def nnz(self) -> int:
        """Number of stored entries that are not zero."""
        return int((self.values != 0).sum())

    @property
    def row(self) -> Tensor:
        """Row of each entry, int64 ``[nnz]``."""
        return self.index // self.cols

    @property
    def col(self) -> Tensor:
        """Column of each entry, int64 ``[nnz]``."""
        return self.index % self.cols

    def equals(self, other: SparseMatrix) -> bool:
        """Whether both store the same entries."""
        return torch.equal(self.index, other.index) and torch.equal(self.values, other.values)

    def live_rows(self) -> Tensor:
        """Return the rows with at least one nonzero, int64, ascending."""
        live: Tensor = torch.unique(self.row[self.values != 0])
        return live

    def row_slots(self) -> Tensor:
        """Return the rows with a stored entry, int64 ascending ``[min(len(index), rows)]``.

        Surplus slots hold the numbers from ``rows`` on. The number of slots does not depend on the values, so the host
        does not wait for a GPU.
        """
        slots, row = min(len(self.index), self.rows), self.row
        out = self.rows + torch.arange(slots, device=row.device)
        if slots:
            first = torch.ones_like(row, dtype=torch.bool)
            first[1:] = row[1:] != row[:-1]
            place = (first.cumsum(0) - 1).clamp(max=slots - 1)
            out.scatter_reduce_(0, place, row, "amin")
        return out

    def dense_rows(self, ids: Tensor) -> Tensor:
        """Return the rows ``ids`` (ascending) as a dense matrix, shape ``[len(ids), cols]``."""
        out = self.values.new_zeros(len(ids) + 1, self.cols)
        if len(ids):
            row = self.row
            place = torch.searchsorted(ids, row).clamp(max=len(ids) - 1)
            # Entries of other rows go to an extra last row, which is cut off.
            out[torch.where(ids[place] == row, place, len(ids)), self.col] = self.values
        return out[:-1]

    def packed_rows(self, ids: Tensor) -> Tensor:
        """Return the rows ``ids`` as :meth:`dense_rows` does, where all entries lie in these rows."""
        index, values, known = (part.cpu().numpy() for part in (self.index, self.values, ids))
        out, row = np.zeros((len(known), self.cols), values.dtype), index // self.cols
        out[np.searchsorted(known, row), index - row * self.cols] = values
        return torch.from_numpy(out).to(self.values.device)

    def dense(self) -> Tensor:
        """Return the whole matrix, shape ``[rows, cols]``. For tests and small networks."""
        return self.dense_rows(torch.arange(self.rows, device=self.index.device))

    def transposed(self) -> SparseMatrix:
        """Return the transposed matrix; this one stores no padding."""
        index, order = torch.sort(self.col * self.rows + self.row)
        return SparseMatrix(index, self.values[order], self.cols, self.rows)

    def compact(self) -> SparseMatrix:
        """Return the matrix without stored zeros and without the padding entries past its end."""
        keep = (self.values != 0) & (self.index < self.rows * self.cols)
        return SparseMatrix(self.index[keep], self.values[keep], self.rows, self.cols)

    def places(self) -> NDArray[np.int64]:
        """Return the places of the nonzeros, int64 ``[nnz, 2]`` of (row, column), ascending."""
        kept = self.compact()
        return np.stack([kept.row.cpu().numpy(), kept.col.cpu().numpy()], axis=1)

    def to_scipy(self) -> csr_array[Any]:
        """Return the matrix as SciPy stores it by rows, ``[rows, cols]``."""
        from scipy.sparse import csr_array

        values, places = self.compact().values.cpu().numpy(), self.places()
        return csr_array((values, (places[:, 0], places[:, 1])), shape=(self.rows, self.cols))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> SparseMatrix:
        """Return a copy on another device or in another dtype."""
        return SparseMatrix(self.index.to(device), self.values.to(device, dtype), self.rows, self.cols)
