"""What an operator is, written out by its action: for tests, which hold it against the matrix."""

from __future__ import annotations

import torch

from mlpiht_cli.linalg.operators import SensingOperator
from mlpiht_cli.linalg.sparse import SparseMatrix


def dense(operator: SensingOperator, coordinates: int, dtype: torch.dtype) -> torch.Tensor:
    """The matrix A ``[n, coordinates]``, column by column."""
    support = operator.columns(torch.arange(coordinates))
    return torch.stack([support.matvec(unit) for unit in torch.eye(coordinates, dtype=dtype)], dim=1)


def product(operator: SensingOperator, weights: SparseMatrix) -> torch.Tensor:
    """``A w``, shape ``[n]``."""
    return operator.columns(weights.index).matvec(weights.values)
