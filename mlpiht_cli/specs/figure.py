"""The part of a spec's schema that says what is drawn."""

from __future__ import annotations

from pydantic import Field, field_validator

from mlpiht_cli.specs.fields import Budget, Limits, Metric, Name, Seed, Strict, Width, distinct


class FigureSpec(Strict):
    """How the results are drawn."""

    label: str = Field(description="what it reproduces, e.g. Figure 1")
    kind: str | list[str] = Field("heatmap", min_length=1, description="one or more kinds of picture or table")
    metric: Metric = "psnr"
    limits: Limits = (-20.0, 50.0)

    @property
    def kinds(self) -> list[str]:
        """Kinds, the main one first."""
        return [self.kind] if isinstance(self.kind, str) else self.kind


class Picture(Strict):
    """What fitted networks of one grid point look like: an image beside its reconstructions, weights found."""

    name: Name
    panel: str
    m: Width
    s: list[Budget] = Field(min_length=1)
    seed: Seed = 0

    _unique = field_validator("s")(distinct)
