"""The part of a spec's schema that says what is drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from mlpiht_cli.specs.fields import Budget, Finite, Limits, Metric, Name, Seed, Strict, Width, distinct

Axis = Literal["s", "n", "d", "m"]


class View(Strict):
    """One of several figures of a spec: some of its panels in some way; what it leaves out is as in the figure."""

    name: Name = Field(description="its file is <table>-<name>")
    title: str = ""
    panels: list[str] | None = Field(None, min_length=1, description="names of the panels it shows, by default all")
    kind: str | None = None
    metric: Metric | None = Field(None, description="metric shown, whatever that of figure and panels")
    limits: Limits | None = None
    scale: Literal["linear", "log"] | None = None
    x: Axis | None = None
    setting: Name | None = None
    level: Finite | None = None
    falling: bool | None = None
    slopes: dict[str, Finite] | None = None

    _unique = field_validator("panels")(distinct)


class FigureSpec(Strict):
    """How the results are drawn."""

    label: str = Field(description="what it reproduces, e.g. Figure 1")
    kind: str | list[str] = Field("heatmap", min_length=1, description="one or more kinds of picture or table")
    metric: Metric = "psnr"
    limits: Limits | None = Field(None, description="of the metric; by default its own, or what the rows span")
    scale: Literal["linear", "log"] = Field("linear", description="of the metric's axis in curves")
    x: Axis = Field("s", description="axis that curves run over")
    setting: Name | None = Field(None, description="of kind setting: the method's setting that lines run over")
    level: Finite | None = Field(
        None, description="of scaling: n* is the n from which the metric stays beyond it; of setting: a line to read by"
    )
    falling: bool = Field(False, description="of scaling: the metric falls with n, as errors do")
    against: str | None = Field(
        None,
        description="of difference: label of the method that is subtracted; by default each other from the first",
    )
    slopes: dict[str, Finite] = Field(default_factory=dict, description="of scaling: reference exponents by label")
    views: list[View] = Field(default_factory=list, description="several figures in place of one")

    @property
    def kinds(self) -> list[str]:
        """Kinds, the main one first."""
        return [self.kind] if isinstance(self.kind, str) else self.kind

    def of(self, view: View) -> FigureSpec:
        """What a view is drawn by: its own fields over the figure's."""
        given = view.model_dump(exclude={"name", "title", "panels"}, exclude_none=True)
        if view.metric not in (None, self.metric):
            given.setdefault("limits", None)  # the figure's are those of another metric
        return self.model_copy(update={**given, "views": []})


class Picture(Strict):
    """What fitted networks of one grid point look like: an image beside its reconstructions, weights found."""

    name: Name
    panel: str
    m: Width
    s: list[Budget] = Field(min_length=1)
    seed: Seed | Literal["best"] = Field(0, description="best: of each method and budget that of least training loss")

    _unique = field_validator("s")(distinct)

    @field_validator("seed", mode="before")
    @classmethod
    def _best_or_number(cls, value: object) -> object:
        if isinstance(value, str) and value != "best":
            raise ValueError("must be a seed or best")
        return value
