"""Public tables by name, as a user's own: they come with scikit-learn and statsmodels, not from the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import file_bytes, write_atomic
from mlpiht_cli.tasks.datasets import data_dirs, sha256
from mlpiht_cli.tasks.table_sources import SOURCES, TableName
from mlpiht_cli.tasks.tabular import Tabular

FOLDER = "tables"


def find_table(name: TableName) -> Path | None:
    """Path of a table's CSV in a data folder; None if there is none."""
    return next((path for place in data_dirs() if (path := place / FOLDER / f"{name}.csv").is_file()), None)


def write_table(name: TableName) -> Path:
    """Write a table as CSV to the user's cache folder, and return its path.

    Raises
    ------
    InputError
        The package with the data is not installed.
    """
    path = data_dirs()[-1] / FOLDER / f"{name}.csv"
    content = SOURCES[name].csv()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path


class Table(Task):
    """A public table by name, fitted as task ``tabular`` fits a file; its target column is ``y``.

    The table is read from ``tables/NAME.csv`` in a data folder. If it is not there, it is made from scikit-learn or
    statsmodels and written to the user's cache folder.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = Tabular.depends_on
    hints: ClassVar[Mapping[str, object]] = Tabular.hints

    table: TableName = Field(description="which table")
    test_share: float = Field(0.2, gt=0, lt=1, description="share of the rows held out for the score")

    def dims(self) -> Dims:
        """Size of the training data, without reading them; an intercept column follows the features."""
        source = SOURCES[self.table]
        outputs = source.classes if source.classes > 2 else 1
        return Dims(source.rows - round(self.test_share * source.rows), source.inputs + 1, outputs)

    def check_data(self) -> None:
        """Read the table; a missing one is made."""
        self._rows.check_data()

    def content(self) -> dict[str, object]:
        """Checksum of a local file that differs from the package's table: such data make other cells."""
        path = find_table(self.table)
        return {} if path is None else self._unofficial(path)

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Split the rows by the seed, and standardise them with the training rows."""
        problem = self._rows.build(axes, streams)
        return replace(problem, notes=self._unofficial(Path(self._rows.path)))

    def _unofficial(self, path: Path) -> dict[str, object]:
        digest = sha256(file_bytes(path))
        return {} if digest == SOURCES[self.table].sha256 else {f"unofficial_{path.name}": digest}

    @cached_property
    def _rows(self) -> Tabular:
        path = find_table(self.table) or write_table(self.table)
        kind = "auto" if SOURCES[self.table].classes else "regression"
        return Tabular.model_validate({"path": str(path), "target": "y", "kind": kind, "test_share": self.test_share})
