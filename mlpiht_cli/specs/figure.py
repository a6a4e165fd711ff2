"""The part of a spec's schema that says what is drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from mlpiht_cli.specs.fields import Budget, Finite, Limits, MetricName, Name, Seed, Strict, Width, distinct

LineAxis = Literal["s", "n", "d", "m"]
MOST_ALSO = 5
"""Further scores that lines still tell apart."""


class Slope(Strict):
    """A reference exponent that is drawn through the points of a line."""

    slope: Finite = Field(description="the exponent")
    of: str = Field(description="label of the line, as the legend has it before its slope")


class View(Strict):
    """One of several figures of a spec: some of its panels in some way; what it leaves out is as in the figure."""

    name: Name = Field(description="name of the view; its file is <table>-<name>")
    title: str = Field("", description="heading, by default the spec's title")
    panels: list[str] | None = Field(None, min_length=1, description="names of the panels it shows, by default all")
    kind: str | None = Field(None, description="kind of picture or table, in place of the figure's")
    metric: MetricName | None = Field(None, description="metric shown, in place of the figure's and its panels'")
    also: list[MetricName] | None = Field(
        None, max_length=MOST_ALSO, description="further scores as lines, in place of the figure's"
    )
    limits: Limits | None = Field(None, description="lowest and highest value of the metric, in place of the figure's")
    scale: Literal["linear", "log"] | None = Field(None, description="scale of the metric, in place of the figure's")
    x: LineAxis | None = Field(None, description="axis that curves run over, in place of the figure's")
    setting: Name | None = Field(None, description="setting that lines run over, in place of the figure's")
    level: Finite | None = Field(None, description="level of the metric, in place of the figure's")
    falling: bool | None = Field(None, description="whether less is better, in place of the figure's")
    against: str | None = Field(None, description="label of the method that is subtracted, in place of the figure's")
    against_score: MetricName | None = Field(None, description="score on the horizontal axis, in place of the figure's")
    slopes: dict[str, Finite | Slope] | None = Field(None, description="reference exponents, in place of the figure's")

    _unique = field_validator("panels", "also")(distinct)


class FigureSpec(Strict):
    """How the results are drawn."""

    label: str = Field(description="what it reproduces, e.g. Figure 1")
    kind: str | list[str] = Field("heatmap", min_length=1, description="one or more kinds of picture or table")
    metric: MetricName = Field("psnr", description="metric shown; a panel or view may show another")
    also: list[MetricName] = Field(
        default_factory=list,
        max_length=MOST_ALSO,
        description="of curve and setting: further scores, lines without a band in the axes of the metric",
    )
    limits: Limits | None = Field(
        None, description="lowest and highest value of the metric; by default its own, or what the rows span"
    )
    scale: Literal["linear", "log"] = Field("linear", description="scale of the metric's axis in curves")
    x: LineAxis = Field("s", description="axis that curves run over")
    setting: Name | None = Field(
        None, description="of setting, and of success in place of n: the method's setting that lines run over"
    )
    level: Finite | None = Field(
        None,
        description="of scaling: n* is the n from which the metric stays beyond it; of success and "
        "shares: the value that a seed has to reach; of setting: a line to read by",
    )
    falling: bool | None = Field(
        None, description="of scaling, success and shares: whether less is better; by default what the metric says"
    )
    against: str | None = Field(
        None,
        description="of difference: label of the method that is subtracted; by default each other from the first",
    )
    against_score: MetricName | None = Field(
        None,
        description="of tradeoff: the score on the horizontal axis, a column or a measure such as passes or wall_s",
    )
    slopes: dict[str, Finite | Slope] = Field(
        default_factory=dict,
        description="of scaling: reference exponents by label, drawn through the middle of the figure or of a line",
    )
    views: list[View] = Field(default_factory=list, description="several figures in place of one")

    _unique = field_validator("also")(distinct)

    @property
    def kinds(self) -> list[str]:
        """Kinds, the main one first."""
        return [self.kind] if isinstance(self.kind, str) else self.kind

    @property
    def further(self) -> list[str]:
        """Scores other than the metric that the figure shows."""
        return [*self.also, *([] if self.against_score is None else [self.against_score])]

    def of(self, view: View) -> FigureSpec:
        """What a view is drawn by: its own fields over the figure's."""
        fields = View.model_fields.keys() - {"name", "title", "panels"}
        given = {field: value for field in fields if (value := getattr(view, field)) is not None}
        if view.metric not in (None, self.metric):
            for field, nothing in (("limits", None), ("also", [])):
                given.setdefault(field, nothing)  # the figure's belong to another metric
        return self.model_copy(update={**given, "views": []})


class Picture(Strict):
    """What fitted networks of one grid point look like: an image and its reconstructions, or the weights found."""

    name: Name = Field(description="name of the picture; its file is <table>-<name>")
    panel: str = Field(description="name of the panel")
    m: Width = Field(description="hidden width, one of the panel's")
    s: list[Budget] = Field(min_length=1, description="budgets, some of the panel's")
    seed: Seed | Literal["best"] = Field(
        0, description="a seed; or best: for each method and budget, the seed of least training loss"
    )

    _unique = field_validator("s")(distinct)

    @field_validator("seed", mode="before")
    @classmethod
    def _best_or_number(cls, value: object) -> object:
        if isinstance(value, str) and value != "best":
            raise ValueError("must be a seed or best")
        return value
