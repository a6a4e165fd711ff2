"""The results row: one cell, how it went, what it scored and how it was made."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.files import regular_size
from mlpiht_cli.memory import check_room

ROW_SCHEMA = 2
"""Version of the columns that a row was written with: 2 added ``measures``; rows of version 1 are read as they are."""

RowStatus = Literal["ok", "skipped", "failed", "diverged", "timeout"]
DONE: frozenset[str] = frozenset({"ok", "skipped", "diverged"})
"""Statuses that running again would not change."""


Count = Annotated[int, Field(ge=0, lt=2**53)]
Measured = bool | Annotated[int, Field(gt=-(2**53), lt=2**53)] | float | Annotated[str, Field(max_length=1000)]


class Row(BaseModel):
    """One row of a results table; the order of the fields is the order of the columns.

    A skip, a failure or a divergence is a status with a reason, never a number. ``wall_s`` and ``cpu_s`` are what
    this budget alone would have cost: the whole trajectory up to it, data and scoring left out. ``measures`` are
    further scores and what the method told of its fit, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings", populate_by_name=True)

    schema_: int = Field(ROW_SCHEMA, alias="schema")
    spec: str = ""
    figure: str = ""
    panel: str = ""
    profile: str = ""
    cell: str = Field(pattern=r"^[0-9a-z]{1,64}$")  # it becomes a file name
    task: str
    method: str
    depth: Count
    k: Count | None = None
    n: Count | None = None
    d: Count | None = None
    m: Count
    s: Count
    seed: Count
    params: dict[str, Any]
    status: RowStatus
    reason: str = ""
    metric: str = ""
    value: float | None = None
    psnr: float | None = None
    accuracy: float | None = None
    support_f1: float | None = None
    exact: bool | None = None
    measures: dict[str, Measured] = Field(default_factory=dict)
    nnz: Count | None = None
    nnz_by_layer: list[Count] | None = None
    iterations: Count | None = None
    settled: Count | None = None
    final_loss: float | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_rss_mb: float | None = None
    peak_cuda_mb: float | None = None
    device: str = ""
    threads: Count | None = None
    dtype: str = ""
    mlpiht: str = ""
    git_sha: str = ""
    git_dirty: bool | None = None
    torch: str = ""
    numpy: str = ""
    python: str = ""
    started_utc: str = ""
    attempt: Count = 1

    @field_validator("measures")
    @classmethod
    def _numbers(cls, measures: dict[str, Measured]) -> dict[str, Measured]:
        """JSON has no inf and nan: they are written as words."""
        return {name: float(v) if v in ("inf", "-inf", "nan") else v for name, v in measures.items()}

    @field_serializer("measures", when_used="json")
    def _words(self, measures: dict[str, Measured]) -> dict[str, Measured]:
        return {name: _finite_or_word(value) for name, value in sorted(measures.items())}

    @field_serializer("params", when_used="json")
    def _sorted(self, params: dict[str, Any]) -> dict[str, Any]:
        return dict(sorted(params.items()))

    def flat(self) -> dict[str, Any]:
        """Columns in order, as JSON values; inf and nan become strings."""
        columns = self.model_dump(mode="json", by_alias=True)
        return {name: _finite_or_word(value) for name, value in columns.items()}

    def number(self, name: str) -> float | None:
        """A score by name: one of the columns ``SCORES``, the value of the row's metric, or one of its measures.

        None where the row has no such number; yes and no count as 1 and 0.
        """
        places = (getattr(self, name) if name in SCORES else None, self.value if name == self.metric else None)
        value = next((one for one in places if one is not None), self.measures.get(name))
        return None if value is None or isinstance(value, str) else float(value)

    @property
    def unofficial(self) -> dict[str, str]:
        """Checksums of data files, by name, that the row was made with and that are not the official ones."""
        used = self.params.get("data")
        named = used if isinstance(used, dict) else {}
        return {str(name).removeprefix("unofficial_"): str(told) for name, told in named.items()}


class Brief(BaseModel):
    """What a row says of its cell and of how it went; a hundred thousand of them are read in half the time of rows."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cell: str
    task: str
    method: str
    depth: Count
    n: Count | None = None
    d: Count | None = None
    m: Count
    s: Count
    seed: Count
    status: RowStatus
    reason: str = ""
    attempt: Count = 1


def _finite_or_word(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


SCORES = ("psnr", "accuracy", "support_f1", "exact", "nnz", "iterations", "settled", "final_loss", "wall_s")
"""Columns that a figure or a claim can show."""
EXACT_DB = 100.0
"""PSNR from which a fit counts as exact recovery: float32 labels show it as 140-165 dB (protocol, section 4)."""
PERFECT_DB = 170.0
"""What a PSNR of inf (no error at all) counts for in a mean: a little above what float32 labels can show."""

PROFILES = ("smoke", "laptop", "paper")
"""Sizes of an experiment; the paper profile is the spec as it stands."""


def table_name(spec: str, profile: str) -> str:
    """File name of a table: the paper profile has the plain name."""
    return f"{spec}.csv" if profile == "paper" else f"{spec}-{profile}.csv"


_JSON = frozenset({"params", "measures", "nnz_by_layer"})
COLUMNS: tuple[str, ...] = tuple(field.alias or name for name, field in Row.model_fields.items())
SORT_BY = ("panel", "method", "depth", "m", "s", "seed", "d", "n", "cell")


def sort_key(row: Row) -> tuple[Any, ...]:
    """Sort key under which a diff of two tables reads well."""
    return tuple(getattr(row, name) or 0 if name in ("n", "d") else getattr(row, name) for name in SORT_BY)


def to_csv(rows: Iterable[Row]) -> str:
    """Render rows as CSV, sorted."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=sort_key):
        writer.writerow({name: _cell_text(value) for name, value in row.flat().items()})
    return out.getvalue()


def _cell_text(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def read_csv(path: Path) -> list[Row]:
    """Read a table written by :func:`to_csv`.

    Raises
    ------
    InputError
        The file is no results table; the message names the line and what is wrong with it.
    """
    check_room(8 * regular_size(path), f"{path}: its rows")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames or "cell" not in reader.fieldnames:
                raise InputError(f"{path}: not a results table of mlpiht (no column 'cell')")
            return [_parse(line, path, number) for number, line in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _check_header(names: Collection[str | None], path: Path) -> None:
    """Say that a whole column is unknown or missing, which is no fault of a row; those of later schemas may be."""
    for name in names:
        if name is not None and name not in COLUMNS:  # None holds what a line has beyond the header
            hint = did_you_mean(name, [one for one in COLUMNS if one not in names])
            raise InputError(f"{path}: unknown column '{name}'{hint}; rename or delete it")
    needed = [field.alias or name for name, field in Row.model_fields.items() if field.is_required()]
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path}: no column '{missing[0]}', which every row needs; take the table from a backup")


def _parse(line: dict[str, Any], path: Path, number: int) -> Row:
    try:
        row = Row.model_validate({name: _from_text(name, text) for name, text in line.items() if text != ""})
        if row.status == "ok" and not row.reason and (row.value is None or math.isnan(row.value)):
            raise ValueError("value: a row that is ok needs a number, or a reason why its metric is undefined")
        return row
    except (ValidationError, ValueError) as error:
        _check_header(line.keys(), path)
        what = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InputError(f"{path}: row {number}: {what}; delete the row, and the sweep computes it anew") from error


def _from_text(name: str, text: Any) -> Any:
    """Value of a CSV field; params, measures and lists are JSON."""
    if not isinstance(text, str) or name not in _JSON:
        return text
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{name}: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
