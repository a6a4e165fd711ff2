"""Passes over the data: the settings that the IHT solvers for networks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from mlpiht_cli.core.settings import Settings


def counts(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of the field that counts passes over the data, and the name of the other field."""
    return ("epochs", "steps") if settings.get("batch") else ("steps", "epochs")


class Passes(Settings):
    """Settings of a solver that passes over the data: ``steps`` in full batch, ``epochs`` in minibatch form.

    Mixin; list it before ``Method``, because it overrides ``merge``.
    """

    batch: int = Field(0, ge=0, description="samples per step; 0 is the full batch")
    steps: int | None = Field(None, ge=1, description="full-batch steps (default 15)")
    epochs: int | None = Field(None, ge=1, description="passes over the minibatches (default 15)")

    @property
    def passes(self) -> int:
        """Number of passes over the data."""
        return self.steps or self.epochs or 0

    @model_validator(mode="before")
    @classmethod
    def _one_count(cls, data: object) -> object:
        """Keep the number of passes in one field, and check that it is given once."""
        if not isinstance(data, dict):
            return data
        wanted, other = counts(data)
        given = {name: data.get(name) for name in (wanted, other)}
        if given["steps"] is not None and wanted == "epochs":
            raise ValueError("the minibatch form counts epochs: set epochs, not steps")
        if None not in given.values() and given["steps"] != given["epochs"]:
            raise ValueError("in full batch an epoch is a step: set steps alone")
        count = given[wanted] if given[wanted] is not None else given[other]
        rest = {name: value for name, value in data.items() if name != other}
        return {**rest, wanted: 15 if count is None else count}

    @classmethod
    def merge(cls, settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Replace settings by overrides; in full batch, an override of ``epochs`` sets ``steps``."""
        merged = {**settings, **overrides}
        wanted, other = counts(merged)
        if wanted in overrides:
            merged.pop(other, None)
        elif wanted == "steps" and other in overrides:
            merged[wanted] = merged.pop(other)
        return merged
