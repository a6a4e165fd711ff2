"""Parts of a model from the arrays of its file; what is wrong with them is said in our words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.system.npz import Arrays

if TYPE_CHECKING:
    from torch import Tensor

MAX_SIDE = 2**31
"""Most rows or columns of a layer in a file."""


def read_meta(data: Arrays) -> dict[str, object]:
    """Read what is noted with a model.

    Raises
    ------
    ValueError
        There is no mapping in JSON.
    """
    try:
        meta = json.loads(str(data["meta"])) if "meta" in data else None
    except (ValueError, RecursionError) as error:
        raise ValueError("its meta data are no JSON") from error
    if not isinstance(meta, dict):
        raise ValueError("it has no meta data, or they are no mapping")
    return meta


def read_matrix(data: Arrays, name: str) -> SparseMatrix:
    """Read the layer of a name.

    Raises
    ------
    ValueError
        Its arrays are absent, or are no sparse matrix.
    """
    parts = [data.get(f"{name}_{part}") for part in ("index", "values", "shape")]
    absent = next((part for part, one in zip(("index", "values", "shape"), parts, strict=True) if one is None), None)
    if absent is not None:
        raise ValueError(f"it has no array '{name}_{absent}'")
    index, values, shape = (np.asarray(part) for part in parts)
    if shape.dtype.kind not in "iu" or shape.shape != (2,):
        raise ValueError(f"{name}: its shape is not two whole numbers")
    rows, cols = (int(side) for side in shape)
    if not (0 < rows <= MAX_SIDE and 0 < cols <= MAX_SIDE):
        raise ValueError(f"{name}: {rows} x {cols} is not a valid layer shape")
    if index.dtype != np.int64 or index.ndim != 1 or index.shape != values.shape:
        raise ValueError(f"{name}: index and values do not match")
    if values.dtype not in (np.float32, np.float64) or not np.isfinite(values).all():
        raise ValueError(f"{name}: the values are not finite floats")
    if len(index) and (index[0] < 0 or index[-1] >= rows * cols or (np.diff(index) <= 0).any()):
        raise ValueError(f"{name}: the indices are out of order or out of range")
    return SparseMatrix(torch.from_numpy(index), torch.from_numpy(values), rows, cols)


def read_vector(vector: NDArray[Any], name: str) -> Tensor:
    """Read signs or biases ``[m]``.

    Raises
    ------
    ValueError
        They are no such vector of finite numbers.
    """
    floats = vector.dtype in (np.float32, np.float64)
    signs = name == "readout" and vector.dtype in (np.int8, np.int32, np.int64)
    if vector.ndim != 1 or not (floats or signs) or not np.isfinite(vector).all():
        raise ValueError(f"its {name} is no vector of finite numbers")
    return torch.from_numpy(vector)
