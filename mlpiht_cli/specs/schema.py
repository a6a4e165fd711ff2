"""The schema of a spec. Settings of tasks and methods are checked by the registry's classes (see plan.py)."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlpiht_cli.specs.fields import (
    Budget,
    Features,
    Finite,
    Limits,
    Metric,
    Name,
    Samples,
    Seed,
    Strict,
    Width,
    distinct,
)
from mlpiht_cli.specs.figure import FigureSpec, Picture

SPEC_VERSION = 1
PAPER = "paper"


class Entry(BaseModel):
    """A task or method by ``name``, with its settings beside it.

    Methods have a ``label``, their row in figures and their name in claims: several variants of one method may stand
    in a panel, and methods that stand for one idea (``iht`` and ``iht_vector``) may share a row.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    label: str = Field("", max_length=40, description="of a method: its row in figures, by default its name")
    seeds: list[Seed] | None = Field(
        None, min_length=1, description="of a method: those of the panel's seeds that it is run with, if not all"
    )

    _unique = field_validator("seeds")(distinct)

    @property
    def shown(self) -> str:
        """The label, or else the name."""
        return self.label or self.name

    @property
    def settings(self) -> dict[str, Any]:
        """The settings given in the spec."""
        return dict(self.model_extra or {})


class Panel(Strict):
    """One panel of a figure: a task and the grid of widths, budgets and seeds it is run on."""

    name: Name
    title: str = ""
    task: Entry
    depth: int = Field(1, ge=1, le=10, strict=True, description="hidden layers of the student")
    m: list[Width] = Field(min_length=1, description="hidden widths")
    s: list[Budget] = Field(min_length=1, description="budgets: nonzero weights allowed")
    n: list[Samples] | None = Field(None, min_length=1, description="the task is run with each n; not set in the task")
    d: list[Features] | None = Field(None, min_length=1, description="the task is run with each d; not set in the task")
    seeds: list[Seed] | None = Field(None, min_length=1, description="overrides the spec's seeds")
    methods: list[Entry] | None = Field(None, min_length=1, description="overrides the spec's methods")
    metric: Metric | None = Field(None, description="metric shown, if not the figure's")
    limits: Limits | None = Field(None, description="colour limits, if not the figure's")

    _unique = field_validator("m", "s", "n", "d", "seeds")(distinct)

    @property
    def sizes(self) -> list[tuple[int | None, int | None]]:
        """Every (n, d) that the task is run with; None for what the panel does not vary."""
        nothing: list[int | None] = [None]
        return list(product(self.n or nothing, self.d or nothing))


class Claim(Strict):
    """A sentence of the paper as a number with a threshold; see ``mlpiht check``."""

    name: Name
    says: str = Field(description="the sentence, in words")
    measure: str = Field(description="how it is measured; see mlpiht_cli/checks")
    method: str = Field(description="label of the method it speaks of")
    against: str | None = Field(None, description="label of the method it is compared with")
    metric: Metric | None = Field(None, description="what it speaks of, if not the task's metric")
    where: str | None = Field(None, description="which cells, as in --only: 'panel=depth1,m>=10'")
    margin: Finite = Field(0.0, description="slack of a comparison, in units of the metric")
    level: Finite | None = Field(None, description="value that a share counts from, or that a threshold is the n of")
    falling: bool = Field(False, description="of thresholds: the metric falls with n, as errors do")
    clip: Limits | None = Field(None, description="values are cut to these limits, as a colour scale does")
    at_least: Finite | None = None
    at_most: Finite | None = None
    profiles: list[Literal["smoke", "laptop", "paper"]] | None = Field(
        None, min_length=1, description="where it is meant to hold; elsewhere it is measured but not judged"
    )

    @model_validator(mode="after")
    def _one_threshold(self) -> Claim:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give one of at_least and at_most")
        return self


class Profile(Strict):
    """A smaller version of the spec: it keeps some grid points, and lowers n, steps or epochs."""

    m: list[Width] | None = Field(None, min_length=1)
    s: list[Budget] | None = Field(None, min_length=1)
    n: list[Samples] | None = Field(None, min_length=1, description="kept of the panels that vary n")
    d: list[Features] | None = Field(None, min_length=1, description="kept of the panels that vary d")
    seeds: list[Seed] | None = Field(None, min_length=1)
    set: dict[Literal["task.n", "method.steps", "method.epochs"], Annotated[int, Field(ge=1, strict=True)]] = Field(
        default_factory=dict
    )


class Spec(Strict):
    """A figure's experiment: panels times methods times widths times budgets times seeds."""

    spec_version: int = Field(strict=True)
    name: Name
    title: str
    source: str = Field(description="what it reproduces: paper and figure")
    seeds: list[Seed] = Field(min_length=1)
    methods: list[Entry] = Field(min_length=1)
    panels: list[Panel] = Field(min_length=1)
    figure: FigureSpec
    claims: list[Claim] = Field(default_factory=list)
    pictures: list[Picture] = Field(default_factory=list)
    cells_of: Name | None = Field(None, description="spec whose panels, methods, seeds and profiles these are")
    profiles: dict[Literal["smoke", "laptop", "paper"], Profile] = Field(default_factory=dict)

    _unique_seeds = field_validator("seeds")(distinct)

    @field_validator("spec_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SPEC_VERSION:
            newer = "; update mlpiht" if version > SPEC_VERSION else ""
            raise ValueError(f"this mlpiht reads version {SPEC_VERSION}, the spec has {version}{newer}")
        return version
