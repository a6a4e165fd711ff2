"""Types of a spec's values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlpiht_cli.specs.point import MAX_SEED

Width = Annotated[int, Field(ge=1, lt=2**53, strict=True)]  # rows hold such numbers exactly
Budget = Annotated[int, Field(ge=1, lt=2**53, strict=True)]
Samples = Annotated[int, Field(ge=1, lt=2**53, strict=True)]
Features = Annotated[int, Field(ge=1, lt=2**53, strict=True)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]


def distinct(values: list[Any] | None) -> list[Any] | None:
    """Refuse a list that holds a value twice."""
    if values is not None and len(set(values)) != len(values):
        raise ValueError("holds a value twice")
    return values


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the lower limit must be below the upper one")
    return limits


Finite = Annotated[float, Field(allow_inf_nan=False)]
Limits = Annotated[tuple[Finite, Finite], AfterValidator(_ascending)]

MetricName = Name
"""Name of what a figure shows or a claim is about: a task's metric, or another score or measure in its rows.

Methods and tasks have measures of their own, so that only a table can tell whether there is one of a name.
"""


class Strict(BaseModel):
    """A part of a spec: unknown fields are refused, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
