"""Columns of a CSV or NPZ file: named numeric features and a target, checked value by value."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.system.files import file_bytes
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.system.npz import NotAnArchive, unpack

if TYPE_CHECKING:
    import pandas as pd


MAX_COLUMNS = 100_000
_COPIES = 5
"""Number of copies in double precision that exist while a table is read, split and standardised."""


class DataColumns(BaseModel, arbitrary_types_allowed=True):
    """Named numeric features ``[n, d]`` (float64), and the raw target ``[n]``; None if none is asked for."""

    features: list[str]
    x: NDArray[np.float64]
    target: NDArray[Any] | None


def read_columns(path: Path, target: str | None, only: Sequence[str] | None = None) -> DataColumns:
    """Read features and target from a CSV or NPZ file.

    Every column but the target is a feature, or (CSV) those named in ``only``.

    Raises
    ------
    InputError
        The file is missing or unreadable, a column is absent, there are no rows, or a feature is not a finite number;
        the message names the column and the first bad row.
    """
    columns, x, y = _read_npz(path, target) if path.suffix.lower() == ".npz" else _read_csv(path, target, only)
    if not x.size:
        raise InputError(f"{path}: holds no data (its matrix is {x.shape[0]} x {x.shape[1]})")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, col = bad[0]
        raise InputError(
            f"{path}: column '{columns[col]}', data row {row + 1}: missing or not a finite number; "
            "drop the row or fill the value in"
        )
    if y is not None and (y.ndim != 1 or len(y) != len(x) or y.dtype.kind not in "biufU"):
        raise InputError(
            f"{path}: target '{target}' has shape {y.shape} and type {y.dtype}; it needs {len(x)} numbers or words"
        )
    if y is not None and y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise InputError(f"{path}: target '{target}', data row {row + 1}: missing or not a finite number")
    return DataColumns(features=columns, x=x, target=y)


def _read_csv(
    path: Path, target: str | None, only: Sequence[str] | None
) -> tuple[list[str], NDArray[np.float64], NDArray[Any] | None]:
    frame = _read_frame(path)
    if target is not None and target not in frame.columns:
        raise InputError(f"{path}: no column '{target}' for the target{did_you_mean(target, frame.columns)}")
    absent = [name for name in only or () if name not in frame.columns]
    if absent:
        raise InputError(f"{path}: no column '{absent[0]}' for a feature{did_you_mean(absent[0], frame.columns)}")
    features = frame[list(only) if only is not None else [name for name in frame.columns if name != target]]
    if not len(frame) or not len(features.columns):
        raise InputError(f"{path}: holds no {'feature columns' if len(frame) else 'data rows'}")
    for name in features.columns:
        if features[name].dtype.kind not in "biuf":
            raise InputError(_not_a_number(path, features[name]))
    y = None
    if target is not None:
        column = frame[target]
        if column.isna().any():
            row = int(np.flatnonzero(column.isna())[0])
            raise InputError(f"{path}: target '{target}', data row {row + 1}: missing or not a finite number")
        y = column.to_numpy() if column.dtype.kind in "biuf" else column.to_numpy(dtype=str)
    return list(features.columns), features.to_numpy(dtype=np.float64), y


def _read_frame(path: Path) -> pd.DataFrame:
    """Read a CSV file whose header names each column once."""
    import pandas as pd

    content = file_bytes(path)
    _check_size(path, content)
    try:
        frame = pd.read_csv(io.BytesIO(content), low_memory=False)
        # Without a header pandas neither renames a second `y` to `y.1` nor reads extra fields as row labels.
        header = pd.read_csv(io.BytesIO(content), header=None, nrows=2, dtype=str).iloc[0].tolist()
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: not a CSV table with a header ({error})") from error
    twice = next((name for name, count in Counter(header).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are called '{twice}'; rename or drop one")
    frame.columns = [str(name) for name in frame.columns]
    if len(frame.columns) == 1 and ";" in frame.columns[0]:
        raise InputError(f"{path}: its columns are separated by semicolons; save it with commas")
    return frame


def _check_size(path: Path, content: bytes) -> None:
    """Refuse a table that is too wide, or too large for the memory once its text is numbers."""
    columns = 1 + content[: content.find(b"\n") % (len(content) + 1)].count(b",")
    if columns > MAX_COLUMNS:
        raise InputError(f"{path}: its header names {columns} columns; at most {MAX_COLUMNS} are allowed")
    values = content.count(b",") + content.count(b"\n") + 1
    check_room(values * 8 * _COPIES, f"{path}: a table of {values} values")


def _not_a_number(path: Path, column: pd.Series[Any]) -> str:
    row = next((i for i, value in enumerate(column) if not _is_number(value)), 0)
    text = repr(column.iloc[row])
    return (
        f"{path}: column '{column.name}', data row {row + 1}: {text if len(text) <= 60 else f'{text[:57]}...'} "
        "is not a number; encode text as numbers first, or drop the column"
    )


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):  # a table may hold an integer of any length
        return False


def _read_npz(path: Path, target: str | None) -> tuple[list[str], NDArray[np.float64], NDArray[Any] | None]:
    try:
        data = unpack(path)
    except NotAnArchive as error:
        raise InputError(f"{path}: not an NPZ file of plain arrays ({error})") from error
    key = next((name for name in ("x", "X") if name in data), None)
    if key is None:
        raise InputError(f"{path}: no matrix `x` among its arrays ({', '.join(data)})")
    if target is not None and target not in data:
        raise InputError(f"{path}: no array '{target}' for the target{did_you_mean(target, data)}")
    x, y = data[key], None if target is None else data[target]
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        raise InputError(f"{path}: `{key}` is not a matrix of numbers (shape {x.shape}, {x.dtype})")
    if not x.size:
        raise InputError(f"{path}: holds no data (its matrix is {x.shape[0]} x {x.shape[1]})")
    if x.shape[1] > MAX_COLUMNS:
        raise InputError(f"{path}: `{key}` has {x.shape[1]} columns; at most {MAX_COLUMNS} are allowed")
    check_room(x.size * 8 * _COPIES, f"{path}: a matrix of {x.shape[0]} x {x.shape[1]}")
    if y is not None and y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    return [f"x{i}" for i in range(x.shape[1])], x.astype(np.float64), y
