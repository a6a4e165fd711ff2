"""A user's own table, from CSV or NPZ: regression or binary classification."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.npz import NotAnArchive, unpack
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.task import Axes, Axis, Dims, Task
from mlpiht_cli.tasks.datasets import sha256


class Table(BaseModel, arbitrary_types_allowed=True):
    """Named numeric features ``[n, d]`` (float64), and the raw target ``[n]`` if there is one."""

    features: list[str]
    x: NDArray[np.float64]
    target: NDArray[Any] | None


class Recipe(BaseModel):
    """How raw rows become network inputs, and outputs become predictions; learned on the training rows.

    Attributes
    ----------
    features, target
        Column names.
    mean, scale
        Standardisation of each feature.
    intercept
        Whether a column of ones follows the features.
    kind, classes
        ``binary`` predicts ``classes[output > 0.5]``; ``regression`` predicts ``output * y_scale + y_mean``.
    """

    features: list[str]
    target: str
    mean: list[float]
    scale: list[float]
    intercept: bool
    kind: Literal["regression", "binary"]
    classes: list[str] = []
    y_mean: float = 0.0
    y_scale: float = 1.0

    def inputs(self, table: Table) -> torch.Tensor:
        """Network inputs ``[n, d]`` in float32; columns are found by name.

        Raises
        ------
        InputError
            A feature is missing, or a value too large.
        """
        missing = [name for name in self.features if name not in table.features]
        if missing:
            hint = did_you_mean(missing[0], table.features)
            raise InputError(f"the data lack the model's feature '{missing[0]}'{hint}")
        order = [table.features.index(name) for name in self.features]
        x = (table.x[:, order] - np.array(self.mean)) / np.array(self.scale)
        if self.intercept:
            x = np.column_stack([x, np.ones(len(x))])
        single = _single(x)
        bad = np.argwhere(~np.isfinite(single))
        if len(bad):
            name = self.features[bad[0][1]]
            raise InputError(f"column '{name}', data row {bad[0][0] + 1}: too large for float32 once standardised")
        return torch.from_numpy(single)

    def targets(self, raw: NDArray[Any]) -> torch.Tensor:
        """Network targets ``[n, 1]`` in float32."""
        if self.kind == "binary":
            y = (raw.astype(str) == self.classes[1]).astype(np.float32)
        else:
            y = _single((raw.astype(np.float64) - self.y_mean) / self.y_scale)
        return torch.from_numpy(y)[:, None]

    def predictions(self, output: NDArray[np.float64]) -> dict[str, list[Any]]:
        """Columns of predictions from network outputs ``[n]``: the target, and for classes the score."""
        if self.kind == "binary":
            return {
                self.target: [self.classes[int(score > 0.5)] for score in output],
                "score": output.tolist(),
            }
        return {self.target: (output * self.y_scale + self.y_mean).tolist()}


class Tabular(Task):
    """Fit a table: all columns but the target are features; a seeded share of the rows is held out."""

    title: ClassVar[str] = "Table"
    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"seed"})
    # Sums of ReLUs with positive signs are convex and nonnegative; a table's target need not be.
    hints: ClassVar[Mapping[str, object]] = {"signs": "alternating"}

    path: str = Field(description="CSV file with a header, or NPZ with a matrix `x`")
    target: str = Field("y", description="target column (CSV) or array (NPZ)")
    kind: Literal["auto", "regression", "binary"] = Field(
        "auto", description="auto: binary if the target has two values"
    )
    test_share: float = Field(0.2, gt=0, lt=1, description="share of the rows held out for the score")
    standardise: bool = Field(True, description="shift and scale features by the training rows' mean and std")
    intercept: bool = Field(True, description="append a column of ones, so that hinges need not pass the origin")

    def content(self) -> dict[str, object]:
        """The file's checksum, in place of its path."""
        return {"path": None, "sha256": sha256(_bytes(Path(self.path)))}

    @cached_property
    def _table(self) -> Table:
        return read_table(Path(self.path), self.target)

    def dims(self) -> Dims:
        """Size of the training data."""
        table = self._table
        return Dims(self._train_rows(len(table.x)), len(table.features) + self.intercept, 1)

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Read the file, split it by seed, standardise with the training rows."""
        table = self._table
        assert table.target is not None
        order = streams.split().permutation(len(table.x))
        count = self._train_rows(len(table.x))
        train, test = np.sort(order[:count]), np.sort(order[count:])
        recipe = self._recipe(table, train)
        x, y = recipe.inputs(table), recipe.targets(table.target)
        if not bool(torch.isfinite(y).all()):
            raise InputError(f"{self.path}: target '{self.target}' has values too large for float32")
        return Problem(
            x[train],
            y[train],
            x[test],
            y[test],
            "accuracy" if recipe.kind == "binary" else "r2",
            recipe=recipe.model_dump(mode="json"),
        )

    def _train_rows(self, rows: int) -> int:
        count = rows - round(self.test_share * rows)
        if not 0 < count < rows:
            raise InputError(f"{self.path}: {rows} rows are too few for a test share of {self.test_share}")
        return count

    def _recipe(self, table: Table, train: NDArray[np.int64]) -> Recipe:
        assert table.target is not None
        x = table.x[train]
        mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
        if self.standardise:
            mean, std = x.mean(axis=0), x.std(axis=0)
            scale = np.where(_varies(mean, std), std, 1.0)
        learned = {
            "features": table.features,
            "target": self.target,
            "mean": mean.tolist(),
            "scale": scale.tolist(),
            "intercept": self.intercept,
        }
        kinds = sorted(set(table.target.astype(str)))
        text = table.target.dtype.kind not in "biuf"
        if self.kind == "binary" or (self.kind == "auto" and len(kinds) == 2):
            if len(kinds) != 2:
                raise InputError(f"{self.path}: target '{self.target}' has {len(kinds)} values, binary needs two")
            return Recipe.model_validate({**learned, "kind": "binary", "classes": kinds})
        if text:
            raise InputError(
                f"{self.path}: target '{self.target}' is text with {len(kinds)} values; "
                "numbers (regression) or two classes (binary) can be fitted"
            )
        y = table.target[train].astype(np.float64)
        if not _varies(y.mean(), y.std()):
            raise InputError(f"{self.path}: target '{self.target}' is constant on the training rows")
        return Recipe.model_validate(
            {**learned, "kind": "regression", "y_mean": float(y.mean()), "y_scale": float(y.std())}
        )


def read_table(path: Path, target: str | None, only: Sequence[str] | None = None) -> Table:
    """Read features and target from a CSV or NPZ file.

    Every column but the target is a feature, or (CSV) those named in ``only``.

    Raises
    ------
    InputError
        Missing or unreadable file, absent column, no rows, or a feature that is not finite numbers; the message
        names the column and the first bad row.
    """
    columns, x, y = _read_npz(path, target) if path.suffix == ".npz" else _read_csv(path, target, only)
    if not len(x):
        raise InputError(f"{path}: holds no data (its matrix is {x.shape[0]} x {x.shape[1]})")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, col = bad[0]
        raise InputError(
            f"{path}: column '{columns[col]}', data row {row + 1}: missing or not a finite number; "
            "drop the row or fill the value in"
        )
    if y is not None and (y.ndim != 1 or len(y) != len(x)):
        raise InputError(f"{path}: target '{target}' has shape {y.shape}, {len(x)} values are due")
    if y is not None and y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise InputError(f"{path}: target '{target}', data row {row + 1}: missing or not a finite number")
    return Table(features=columns, x=x, target=y)


def _varies(mean: NDArray[np.float64] | np.float64, std: NDArray[np.float64] | np.float64) -> NDArray[np.bool_]:
    """Whether a spread is more than the rounding of a constant."""
    return np.asarray(std > 1e-12 * np.abs(mean))


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32; what is too large becomes inf, which the caller looks for."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _read_csv(
    path: Path, target: str | None, only: Sequence[str] | None
) -> tuple[list[str], NDArray[np.float64], NDArray[Any] | None]:
    import pandas as pd

    content = _bytes(path)
    try:
        frame = pd.read_csv(io.BytesIO(content))
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: not a CSV table with a header ({error})") from error
    frame.columns = [str(name) for name in frame.columns]
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
            numeric = pd.to_numeric(features[name], errors="coerce")
            row = int(np.flatnonzero(numeric.isna())[0]) if numeric.isna().any() else 0
            raise InputError(
                f"{path}: column '{name}', data row {row + 1}: {features[name].iloc[row]!r} is not a number; "
                "encode text as numbers first, or drop the column"
            )
    y = None
    if target is not None:
        column = frame[target]
        if column.isna().any():
            row = int(np.flatnonzero(column.isna())[0])
            raise InputError(f"{path}: target '{target}', data row {row + 1}: missing or not a finite number")
        y = column.to_numpy() if column.dtype.kind in "biuf" else column.to_numpy(dtype=str)
    return list(features.columns), features.to_numpy(dtype=np.float64), y


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
    if y is not None and y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    return [f"x{i}" for i in range(x.shape[1])], x.astype(np.float64), y
