"""Small networks of every kind, and their predictions computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix

Floats = NDArray[np.float64]
Network = tuple[SparseMLP, Callable[[Floats], Floats]]
KINDS = ("fused", "two_layers", "deep", "deep_fused", "bias", "bias_fused", "gates", "linear", "linear_bias", "silent")
INPUTS = 6


def relu(x: Floats) -> Floats:
    return np.maximum(x, 0.0)


def networks(dtype: torch.dtype) -> dict[str, Network]:
    """By kind: a network of 6 inputs, with dead neurons and unused inputs, and its predictions ``[n, k]``."""
    rng = np.random.RandomState(3)

    def draw(rows: int, cols: int, share: float = 0.4) -> tuple[SparseMatrix, Floats]:
        values = torch.from_numpy(rng.normal(size=(rows, cols)) * (rng.rand(rows, cols) < share)).to(dtype)
        return SparseMatrix.from_dense(values), values.double().numpy()

    a, w = draw(9, INPUTS, 0.25)
    b, v = draw(3, 9, 0.6)
    c, u = draw(2, 3, 0.9)
    g, gate = draw(9, INPUTS, 1.0)
    signs = np.where(rng.rand(9) < 0.5, 1.0, -1.0)
    bias = rng.normal(size=9)
    s9, s3 = torch.from_numpy(signs), torch.tensor([1.0, -1.0, 1.0])
    t = torch.from_numpy(bias).to(dtype)
    bias = t.double().numpy()
    made: dict[str, Network] = {
        "fused": (SparseMLP((a,), s9), lambda x: relu(x @ w.T) @ signs[:, None]),
        "two_layers": (SparseMLP((a, b)), lambda x: relu(x @ w.T) @ v.T),
        "deep": (SparseMLP((a, b, c)), lambda x: relu(relu(x @ w.T) @ v.T) @ u.T),
        "deep_fused": (SparseMLP((a, b), s3), lambda x: relu(relu(x @ w.T) @ v.T) @ s3.double().numpy()[:, None]),
        "bias": (SparseMLP((a, b), bias=t), lambda x: relu(x @ w.T + bias) @ v.T),
        "bias_fused": (SparseMLP((a,), s9, bias=t), lambda x: relu(x @ w.T + bias) @ signs[:, None]),
        "gates": (SparseMLP((a,), s9, g), lambda x: ((x @ w.T) * (x @ gate.T > 0)) @ signs[:, None]),
        "linear": (SparseMLP((a,)), lambda x: x @ w.T),
        "linear_bias": (SparseMLP((a,), bias=t), lambda x: x @ w.T + bias),
        "silent": (SparseMLP.silent((INPUTS, 4, 1), torch.zeros(1, dtype=dtype)), lambda x: np.zeros((len(x), 1))),
    }
    assert tuple(made) == KINDS
    return made


def rows(n: int = 40) -> Floats:
    """Inputs ``[n, 6]``, exact in float32."""
    return np.random.RandomState(8).normal(size=(n, INPUTS)).astype(np.float32).astype(np.float64)
