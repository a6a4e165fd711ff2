"""The results row: one cell, its status, its scores and its origin."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from mlpiht_cli.core.metric import METRICS

ROW_SCHEMA = 3
"""Version of the columns of a new row: 2 added ``measures``, 3 ``blas``; rows of earlier ones are read unchanged."""

RowStatus = Literal["ok", "skipped", "failed", "diverged", "timeout"]
DONE: frozenset[str] = frozenset({"ok", "skipped", "diverged"})
"""Statuses that another run does not change."""


Count = Annotated[int, Field(ge=0, lt=2**53)]
Measured = bool | Annotated[int, Field(gt=-(2**53), lt=2**53)] | float | Annotated[str, Field(max_length=1000)]


class Row(BaseModel):
    """One row of a results table; the order of the fields is the order of the columns.

    A skip, a failure or a divergence is a status with a reason, never a number. ``wall_s`` and ``cpu_s`` are the cost
    of this budget alone: the whole trajectory up to it, without data and scoring. ``measures`` are further scores and
    facts that the method reports of its fit, by name.
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
    blas: str = ""
    python: str = ""
    started_utc: str = ""
    attempt: Count = 1

    @field_validator("measures")
    @classmethod
    def _numbers(cls, measures: dict[str, Measured]) -> dict[str, Measured]:
        """Read inf and nan, which JSON holds as words."""
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

    @property
    def unofficial(self) -> dict[str, str]:
        """Checksums of the unofficial data files that the row was made with, by name."""
        used = self.params.get("data")
        named = used if isinstance(used, dict) else {}
        return {
            str(name).removeprefix("unofficial_"): str(checksum)
            for name, checksum in named.items()
            if str(name).startswith("unofficial_")
        }


def is_empty(row: Row | Brief) -> bool:
    """Whether a finished row lacks its value, and does not say why."""
    return row.status == "ok" and not row.reason and (row.value is None or math.isnan(row.value))


class Brief(BaseModel):
    """Cell and status of a row: a hundred thousand of them are read in half the time of rows."""

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
    value: float | None = None
    attempt: Count = 1


def _finite_or_word(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


SCORES = tuple(name for name, one in METRICS.items() if one.column)
"""Columns that a figure or a claim can name."""
