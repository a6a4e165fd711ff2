"""A user's own data from a CSV or NPZ file: regression or binary classification."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import file_bytes
from mlpiht_cli.tasks.columns import DataColumns, read_columns
from mlpiht_cli.tasks.datasets import sha256
from mlpiht_cli.tasks.table_hints import TABLE_HINTS


class Recipe(BaseModel):
    """Rules that turn raw rows into network inputs, and outputs into predictions; learned on the training rows.

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

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        """Check everything, since a recipe may come from a file."""
        if not len(self.features) == len(self.mean) == len(self.scale):
            raise ValueError("features, mean and scale do not belong together")
        if not np.isfinite([*self.mean, *self.scale, self.y_mean, self.y_scale]).all() or 0.0 in self.scale:
            raise ValueError("mean or scale is not usable")
        if self.kind == "binary" and len(self.classes) != 2:
            raise ValueError("a binary recipe has two classes")
        return self

    def inputs(self, columns: DataColumns) -> torch.Tensor:
        """Network inputs ``[n, d]`` in float32; columns are found by name.

        Raises
        ------
        InputError
            A feature is missing, or a value is too large.
        """
        missing = [name for name in self.features if name not in columns.features]
        if missing:
            hint = did_you_mean(missing[0], columns.features)
            raise InputError(f"the data lack the model's feature '{missing[0]}'{hint}")
        order = [columns.features.index(name) for name in self.features]
        x = (columns.x[:, order] - np.array(self.mean)) / np.array(self.scale)
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
        """Columns of predictions from network outputs ``[n]``: the target and, for classes, the score."""
        if self.kind == "binary":
            return {
                self.target: [self.classes[int(score > 0.5)] for score in output],
                "score": output.tolist(),
            }
        return {self.target: (output * self.y_scale + self.y_mean).tolist()}


class Tabular(Task):
    """Fit a table: all columns but the target are features, and a seeded share of the rows is held out."""

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"seed"})
    hints: ClassVar[Mapping[str, object]] = TABLE_HINTS

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
        return {"path": None, "sha256": sha256(file_bytes(Path(self.path)))}

    @cached_property
    def _columns(self) -> DataColumns:
        return read_columns(Path(self.path), self.target)

    def check_data(self) -> None:
        """Read the table, and check that its target can be fitted."""
        columns = self._columns
        self._recipe(columns, np.arange(self._train_rows(len(columns.x))))

    def dims(self) -> Dims:
        """Size of the training data."""
        columns = self._columns
        return Dims(self._train_rows(len(columns.x)), len(columns.features) + self.intercept, 1)

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Read the file, split it by the seed, and standardise it with the training rows."""
        columns = self._columns
        assert columns.target is not None
        order = streams.split().permutation(len(columns.x))
        count = self._train_rows(len(columns.x))
        train, test = np.sort(order[:count]), np.sort(order[count:])
        recipe = self._recipe(columns, train)
        x, y = recipe.inputs(columns), recipe.targets(columns.target)
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
            raise InputError(f"{self.path}: {rows} rows are too few for a test share of {self.test_share}; add rows")
        return count

    def _recipe(self, columns: DataColumns, train: NDArray[np.int64]) -> Recipe:
        assert columns.target is not None
        x = columns.x[train]
        mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
        if self.standardise:
            mean, std = _moments(x, f"{self.path}: a feature")
            scale = np.where(_varies(mean, std), std, 1.0)
        learned = {
            "features": columns.features,
            "target": self.target,
            "mean": mean.tolist(),
            "scale": scale.tolist(),
            "intercept": self.intercept,
        }
        kinds = sorted(set(columns.target.astype(str)))
        text = columns.target.dtype.kind not in "biuf"
        if self.kind == "binary" or (self.kind == "auto" and len(kinds) == 2):
            if len(kinds) != 2:
                raise InputError(f"{self.path}: target '{self.target}' has {len(kinds)} values, binary needs two")
            return Recipe.model_validate({**learned, "kind": "binary", "classes": kinds})
        if text:
            raise InputError(
                f"{self.path}: target '{self.target}' is text with {len(kinds)} values; "
                "numbers (regression) or two classes (binary) can be fitted"
            )
        y_mean, y_std = _moments(columns.target[train].astype(np.float64), f"{self.path}: target '{self.target}'")
        if not _varies(y_mean, y_std):
            raise InputError(f"{self.path}: target '{self.target}' is constant on the training rows")
        return Recipe.model_validate(
            {**learned, "kind": "regression", "y_mean": float(y_mean), "y_scale": float(y_std)}
        )


def _moments(values: NDArray[np.float64], what: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation over the rows.

    Raises
    ------
    InputError
        The mean or the deviation overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = values.mean(axis=0), values.std(axis=0)
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise InputError(f"{what} has values too large to standardise")
    return np.asarray(mean), np.asarray(std)


def _varies(mean: NDArray[np.float64] | np.float64, std: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a spread is larger than the rounding of a constant."""
    return np.asarray(std > 1e-12 * np.abs(mean))


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32; a value that is too large becomes inf, which the caller checks."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
