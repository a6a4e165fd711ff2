"""The recipe of a table: raw rows become network inputs, and outputs become predictions. Plain JSON values alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.tables.columns import Column, numbers, words
from mlpiht_cli.tables.form import DETECTED, Form
from mlpiht_cli.tables.text import COPIES

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["regression", "classes"]


class Recipe(BaseModel):
    """Rules that turn raw rows into network inputs, and outputs into predictions; learned on the training rows.

    Attributes
    ----------
    columns
        Columns of features, in the order of the table.
    target
        Name of the target column.
    mean, scale
        Standardisation of each network input but the intercept, in the order of ``names``.
    intercept
        Whether a column of ones follows the inputs.
    kind, classes
        Regression, or the labels of at least two classes.
    y_mean, y_scale
        ``output * y_scale + y_mean`` is the prediction of a regression. For two classes it is the score, which is
        around 0 for the first class and around 1 for the second. Three or more classes have one output each, and use
        neither.
    calibration
        Slope and offset of the probability ``1 / (1 + exp(-(slope * output + offset)))`` of the second of two classes
        (Platt 1999); None: the score, clipped to [0, 1].
    form, seen
        Form of the text file as it was asked for, and as it was found.
    width
        Number of columns of a text file without a header; 0 where columns have names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: list[Column]
    target: str
    mean: list[float]
    scale: list[float]
    intercept: bool
    kind: Kind
    classes: list[str] = []
    y_mean: float = 0.0
    y_scale: float = 1.0
    calibration: tuple[float, float] | None = None
    form: Form = DETECTED
    seen: Form = DETECTED
    width: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        """Check everything, since a recipe may come from a file."""
        names = self.names
        if not self.columns or not len(names) == len(self.mean) == len(self.scale):
            raise ValueError("columns, mean and scale do not belong together")
        twice = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None
        if twice is not None:
            raise ValueError(f"two inputs are called '{twice}'; rename a column")
        finite = np.isfinite([*self.mean, *self.scale, self.y_mean, self.y_scale, *(self.calibration or ())])
        if not finite.all() or min(*self.scale, self.y_scale) <= 0.0:
            raise ValueError("mean, scale or calibration is not usable")
        if (self.kind == "classes") != (len(self.classes) >= 2) or len({*self.classes}) != len(self.classes):
            raise ValueError("classes need at least two labels, and a regression has none")
        if self.calibration is not None and len(self.classes) != 2:
            raise ValueError("two classes alone are calibrated")
        if self.target in [self._probability(label) for label in self.classes]:
            raise ValueError(f"the target '{self.target}' has the name of a column of probabilities; rename it")
        return self

    @property
    def names(self) -> list[str]:
        """Names of the network's inputs, without the intercept."""
        return [name for column in self.columns for name in column.names]

    @property
    def features(self) -> list[str]:
        """Names of the table's columns of features."""
        return [column.name for column in self.columns]

    @property
    def outputs(self) -> int:
        """Number of network outputs k."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def inputs_count(self) -> int:
        """Number of network inputs d, with the intercept."""
        return len(self.mean) + self.intercept

    def encoded(self, frame: pd.DataFrame, source: str = "the data") -> NDArray[np.float64]:
        """Return the inputs ``[n, len(names)]`` before they are standardised; columns are found by name.

        Raises
        ------
        InputError
            A column is missing, or a value cannot be used.
        """
        absent = next((name for name in self.features if name not in frame.columns), None)
        if absent is not None:
            raise InputError(f"{source}: no column '{absent}' for a feature{self._hint(absent, frame)}")
        width = len(self.mean)
        check_room(len(frame) * width * 8 * COPIES, f"{source}: a matrix of {len(frame)} x {width}")
        out, a = np.empty((len(frame), width)), 0
        for column in self.columns:
            b = a + len(column.names)
            out[:, a:b] = column.encoded(frame[column.name], source)
            a = b
        return out

    def _hint(self, absent: str, frame: pd.DataFrame) -> str:
        return did_you_mean(absent, [str(name) for name in frame.columns])

    def inputs(self, frame: pd.DataFrame, source: str = "the data") -> NDArray[np.float32]:
        """Return network inputs ``[n, d]``.

        Raises
        ------
        InputError
            A column is missing, a value cannot be used, or is too large.
        """
        x = (self.encoded(frame, source) - np.array(self.mean)) / np.array(self.scale)
        if self.intercept:
            x = np.column_stack([x, np.ones(len(x))])
        single = _single(x)
        bad = np.argwhere(~np.isfinite(single))
        if len(bad):
            row, name = bad[0][0], self.names[bad[0][1]]
            raise InputError(f"{source}: column '{name}', data row {row + 1}: too large for float32 once standardised")
        return single

    def targets(self, column: pd.Series[Any], source: str = "the data") -> NDArray[np.float32]:
        """Return network targets ``[n, k]``: standardised numbers, 0 or 1 for two labels, or one-hot labels.

        Raises
        ------
        InputError
            A value is missing, is no number, is too large, or is a label that no training row has.
        """
        absent = np.flatnonzero(column.isna().to_numpy())
        if len(absent):
            raise InputError(f"{source}: target '{self.target}', data row {absent[0] + 1}: is missing; drop the row")
        if self.kind == "classes":
            codes = self.codes(column, source)
            if self.outputs > 1:
                return np.eye(self.outputs, dtype=np.float32)[codes]
            return _single((codes.astype(np.float64) - self.y_mean) / self.y_scale)[:, None]
        y = _single((numbers(column, source) - self.y_mean) / self.y_scale)
        if not np.isfinite(y).all():
            raise InputError(f"{source}: target '{self.target}' has values too large for float32")
        return y[:, None]

    def codes(self, column: pd.Series[Any], source: str = "the data") -> NDArray[np.int64]:
        """Return the number of each row's class ``[n]``, from 0.

        Raises
        ------
        InputError
            A label is not among the classes.
        """
        place = {label: i for i, label in enumerate(self.classes)}
        labels = words(column, source)
        codes = np.array([place.get(label, -1) for label in labels], dtype=np.int64)
        fresh = np.flatnonzero(codes < 0)
        if len(fresh):
            label = str(labels[fresh[0]])[:40]
            raise InputError(
                f"{source}: target '{self.target}', data row {fresh[0] + 1}: no training row has the label '{label}'"
            )
        return codes

    def predictions(self, output: NDArray[np.float64]) -> dict[str, list[Any]]:
        """Return columns of predictions from network outputs ``[n, k]``.

        They are the target and, for classes, a probability of each that sums to one over the classes. The label of two
        classes follows from the score, as the accuracy does, and not from the calibrated probability.
        """
        if self.kind == "regression":
            return {self.target: (output[:, 0] * self.y_scale + self.y_mean).tolist()}
        chosen = output.argmax(axis=1) if self.outputs > 1 else (self._score(output) > 0.5).astype(np.int64)
        shares = self.probabilities(output)
        columns = {self._probability(label): shares[:, i].tolist() for i, label in enumerate(self.classes)}
        return {self.target: [self.classes[i] for i in chosen], **columns}

    def probabilities(self, output: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class ``[n, classes]`` from network outputs ``[n, k]``."""
        if self.outputs > 1:
            powers = np.exp(output - output.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        second = np.clip(self._score(output), 0.0, 1.0)
        if self.calibration is not None:
            slope, offset = self.calibration
            second = 0.5 + 0.5 * np.tanh(
                0.5 * (slope * output[:, 0] + offset)
            )  # the logistic function, without overflow
        return np.column_stack([1.0 - second, second])

    def _score(self, output: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(output[:, 0] * self.y_scale + self.y_mean)

    def _probability(self, label: str) -> str:
        return f"probability_{label}"


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to float32; a value that is too large becomes inf, which the caller checks."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
