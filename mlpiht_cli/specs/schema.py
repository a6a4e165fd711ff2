"""The schema of a spec. Settings of tasks and methods are checked by the registry's classes, in plan."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlpiht_cli.specs.fields import (
    Budget,
    Features,
    Finite,
    Limits,
    MetricName,
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


class Size(NamedTuple):
    """Samples and features that a panel runs its task with; None for what it does not vary."""

    n: int | None = None
    d: int | None = None


class Entry(BaseModel):
    """A task or method by ``name``, together with its settings.

    Methods have a ``label``, their row in figures and their name in claims: several variants of one method may stand
    in a panel, and methods that stand for one idea (``iht`` and ``iht_vector``) may share a row.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(
        description="name of the task or method; all other fields but label, seeds and rows_of are its settings"
    )
    label: str = Field("", max_length=40, description="of a method: its row in figures, by default its name")
    seeds: list[Seed] | None = Field(
        None, min_length=1, description="of a method: those of the panel's seeds that it runs with, if not all"
    )

    rows_of: Name | None = Field(
        None, description="of a method: name of a spec whose table has its rows; it does not run here"
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
    """One panel of a figure: a task and the grid of widths, budgets and seeds that it runs on."""

    name: Name = Field(description="name of the panel in rows, claims and filters")
    title: str = Field("", description="heading of the panel in figures, by default its name")
    task: Entry = Field(description="what is to be learned: a task and its settings")
    depth: int = Field(1, ge=1, le=10, strict=True, description="hidden layers of the student")
    m: list[Width] = Field(min_length=1, description="hidden widths")
    s: list[Budget] = Field(min_length=1, description="budgets: nonzero weights allowed")
    n: list[Samples] | None = Field(
        None, min_length=1, description="sample sizes; the task runs with each n, which is not set in the task"
    )
    d: list[Features] | None = Field(
        None, min_length=1, description="dimensions; the task runs with each d, which is not set in the task"
    )
    seeds: list[Seed] | None = Field(None, min_length=1, description="seeds of this panel, in place of the spec's")
    methods: list[Entry] | None = Field(None, min_length=1, description="methods of this panel, in place of the spec's")
    metric: MetricName | None = Field(None, description="metric that the figure shows here, if not the figure's own")
    limits: Limits | None = Field(None, description="lowest and highest value of the colours, if not the figure's")

    _unique = field_validator("m", "s", "n", "d", "seeds")(distinct)

    @property
    def sizes(self) -> list[Size]:
        """Every n with every d."""
        nothing: list[int | None] = [None]
        return [Size(n, d) for n, d in product(self.n or nothing, self.d or nothing)]


class Claim(Strict):
    """A sentence of the paper as a number with a threshold; see ``mlpiht check``."""

    name: Name = Field(description="name of the claim, in what check prints")
    says: str = Field(description="the sentence, in words")
    measure: str = Field(description="how the claim turns scores into one number, such as median or share_above")
    method: str = Field(description="label of the method that the claim is about")
    against: str | None = Field(None, description="label of the method that it is compared with")
    metric: MetricName | None = Field(None, description="metric that the claim is about, if not the task's own")
    minus: MetricName | None = Field(None, description="another score, which is subtracted from the metric in each row")
    over: MetricName | None = Field(None, description="another score, which the metric is divided by in each row")
    word: str | None = Field(
        None, min_length=1, description="of a measure that is a word: the word that a share counts"
    )
    where: str | None = Field(None, description="which cells, as in --only: 'panel=depth1,m>=10'; by default all")
    margin: Finite = Field(0.0, description="slack of a comparison, in units of the metric")
    level: Finite | None = Field(None, description="value that a share counts from, or that a threshold is the n of")
    falling: bool | None = Field(
        None, description="whether less of the metric is better, as of errors; by default what the metric says"
    )
    clip: Limits | None = Field(None, description="values are cut to these limits, as a colour scale does")
    at_least: Finite | None = Field(None, description="the claim holds if the number is this or more")
    at_most: Finite | None = Field(None, description="the claim holds if the number is this or less")
    profiles: list[Literal["smoke", "laptop", "paper"]] | None = Field(
        None, min_length=1, description="profiles in which the claim is judged; in others it is only measured"
    )

    @model_validator(mode="after")
    def _one_threshold(self) -> Claim:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give one of at_least and at_most")
        if len([one for one in (self.minus, self.over, self.word) if one is not None]) > 1:
            raise ValueError("give one of minus, over and word")
        return self


class Profile(Strict):
    """A smaller version of the spec: it keeps some grid points, and lowers n, steps or epochs."""

    m: list[Width] | None = Field(None, min_length=1, description="widths to keep")
    s: list[Budget] | None = Field(None, min_length=1, description="budgets to keep")
    n: list[Samples] | None = Field(None, min_length=1, description="n to keep, of the panels that vary n")
    d: list[Features] | None = Field(None, min_length=1, description="d to keep, of the panels that vary d")
    seeds: list[Seed] | None = Field(None, min_length=1, description="seeds to keep")
    set: dict[Literal["task.n", "method.steps", "method.epochs"], Annotated[int, Field(ge=1, strict=True)]] = Field(
        default_factory=dict, description="smaller settings, for each task and method that has a setting of that name"
    )


class Spec(Strict):
    """A figure's experiment: panels times methods times widths times budgets times seeds."""

    spec_version: int = Field(strict=True, description=f"version of this format: {SPEC_VERSION}")
    name: Name = Field(description="name of the spec and of its table, results/<name>.csv")
    title: str = Field(description="heading of the figure")
    source: str = Field(description="what it reproduces: paper and figure")
    seeds: list[Seed] = Field(min_length=1, description="seeds; every cell is run once with each")
    methods: list[Entry] = Field(min_length=1, description="methods, each with its settings")
    panels: list[Panel] = Field(min_length=1, description="panels of the figure, each a task and a grid")
    figure: FigureSpec = Field(description="how the results are drawn")
    claims: list[Claim] = Field(default_factory=list, description="what `mlpiht check` judges")
    pictures: list[Picture] = Field(default_factory=list, description="what `mlpiht pictures` draws")
    cells_of: Name | None = Field(
        None, description="name of a spec whose panels, methods, seeds and profiles this one takes; it gives none then"
    )
    profiles: dict[Literal["smoke", "laptop", "paper"], Profile] = Field(
        default_factory=dict, description="smaller versions of the spec, for --profile"
    )

    def profile_title(self, profile: str) -> str:
        """What a figure calls a profile; nothing if the spec names no profiles."""
        return f"{profile} profile" if self.profiles else ""

    @property
    def profile_names(self) -> list[str]:
        """Profiles that the spec runs in: those it names, and the paper profile, which is the spec itself."""
        return list(dict.fromkeys([*self.profiles, PAPER]))

    _unique_seeds = field_validator("seeds")(distinct)

    @field_validator("spec_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SPEC_VERSION:
            newer = "; update mlpiht" if version > SPEC_VERSION else ""
            raise ValueError(f"this mlpiht reads version {SPEC_VERSION}, the spec has {version}{newer}")
        return version
