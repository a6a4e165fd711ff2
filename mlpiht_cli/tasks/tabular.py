"""A user's own table: regression or classes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.table_settings import TABLE_HINTS
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tables.form import Decimal, Form, Reading, Separator
from mlpiht_cli.tables.kind import Asked, split_rows, target_kind
from mlpiht_cli.tables.leaks import warn_of_leaks, warn_of_shared_rows
from mlpiht_cli.tables.learn import Plan, learn
from mlpiht_cli.tables.read import Table, read_table, source_bytes
from mlpiht_cli.tables.recipe import Kind, Recipe
from mlpiht_cli.tables.rows import read_rows
from mlpiht_cli.tasks.datasets import sha256

MAX_SPLIT_SEED = 2**32 - 1


class Tabular(Task):
    """Fit a table: all columns but the target are features, and a seeded share of the rows is held out.

    Words become one input of 0 and 1 for each category, and missing values the median or the most frequent word, with
    an input that says where they are missing. All that is learned, is learned on the training rows.
    """

    version: ClassVar[int] = 2
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"seed"})
    hints: ClassVar[Mapping[str, object]] = TABLE_HINTS

    path: str = Field(
        description="CSV, TSV or semicolon-separated file (also .gz), Parquet, NPZ with a matrix `x`, or - for stdin"
    )
    target: str | None = Field(
        None, min_length=1, description="target column, or array of an NPZ; `null`: y, or the last without a header"
    )
    kind: Asked = Field(
        "auto",
        description="auto: classes if the target is text, has two values, or is 0, 1, 2, ... or 1, 2, 3, ... (at most "
        "20 values, each in ten rows and one percent)",
    )
    test: str | None = Field(None, description="file with the test rows; all rows of `path` are then training rows")
    drop: tuple[str, ...] = Field((), strict=False, description="columns to leave out")
    header: bool = Field(True, description="whether a text file's first line names its columns; if not: x0, x1, ...")
    separator: Separator = Field("auto", description="mark between the values of a text file")
    decimal: Decimal = Field("auto", description="mark before the decimals in a text file")
    test_share: float = Field(0.2, gt=0, lt=1, description="share of the rows held out for the score, without `test`")
    split_seed: int | None = Field(
        None, ge=0, le=MAX_SPLIT_SEED, description="seed of the held-out rows; `null`: the cell's seed"
    )
    standardise: bool = Field(True, description="shift and scale inputs by the training rows' mean and std")
    intercept: bool = Field(True, description="append a column of ones, so that hinges need not pass the origin")

    def content(self) -> dict[str, object]:
        """Checksums of the files, in place of their paths."""
        files: dict[str, object] = {"path": None, "sha256": sha256(source_bytes(self.path))}
        if self.test is not None:
            files |= {"test": None, "test_sha256": sha256(source_bytes(self.test))}
        return files

    @property
    def _form(self) -> Form:
        return Form(header=self.header, separator=self.separator, decimal=self.decimal)

    @cached_property
    def _table(self) -> Table:
        return read_table(self.path, Reading(self._form, self.target, self.drop))

    @cached_property
    def _kind(self) -> Kind:
        kind = target_kind(self._table.labels, self.kind, self._table.source)
        warn_of_leaks(self._table, kind)
        return kind

    @cached_property
    def _whole(self) -> Recipe:
        """The recipe of all rows, for sizes alone: a run learns its own on its training rows."""
        return self._recipe(np.arange(len(self._table.frame)))

    def check_data(self) -> None:
        """Read the tables, and check that the target can be fitted."""
        recipe, _ = self._whole, self._split(0)
        if self.test is not None:
            self._test_arrays(self.test, recipe)

    def dims(self) -> Dims:
        """Size of the training data; words that few rows have may give a seed's split fewer inputs."""
        return Dims(len(self._split(0)[0]), self._whole.inputs_count, self._whole.outputs)

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Read the files, split the rows by the seed, and learn the recipe on the training rows."""
        table = self._table
        train, test = self._split(streams.seed)
        recipe = self._recipe(train)
        x, y = self._arrays(table, recipe)
        if self.test is None:
            x_test, y_test = x[test], y[test]
        else:
            x_test, y_test = self._test_arrays(self.test, recipe)
            warn_of_shared_rows((x, y), (x_test, y_test), self.test)
        return Problem(
            x[train],
            y[train],
            x_test,
            y_test,
            "accuracy" if recipe.kind == "classes" else "r2",
            "cross_entropy" if recipe.outputs > 1 else "squared",
            notes={name: value for name, value in self.content().items() if value is not None},
            recipe=recipe.model_dump(mode="json"),
        )

    def _test_arrays(self, test: str, recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
        if source_bytes(test) == source_bytes(self.path):
            raise InputError(f"{test}: the test rows are the training rows; name another file of test rows")
        return self._arrays(read_rows(test, recipe, with_target=True), recipe)

    def _arrays(self, table: Table, recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of all rows of a table."""
        x = recipe.inputs(table.features, table.source)
        y = recipe.targets(table.labels, table.source)
        return torch.from_numpy(x), torch.from_numpy(y)

    def _split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the training and of the test rows."""
        table = self._table
        if self.test is not None:
            return np.arange(len(table.frame)), np.arange(0)
        seed = seed if self.split_seed is None else self.split_seed
        return split_rows(table.labels, self._kind, self.test_share, seed, table.source)

    def _recipe(self, train: NDArray[np.int64]) -> Recipe:
        table = self._table
        plan = Plan(self._kind, self.standardise, self.intercept, self._form, table.form, table.width)
        return learn(table.features.iloc[train], table.labels.iloc[train], plan, table.source)
