"""What the inputs and outputs of a network are called, and their units: the part of a table's recipe that is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import AliasChoices, BaseModel, Field, ValidationError, model_validator

from mlpiht_cli.errors import InputError


class Facts(BaseModel):
    """Names and units of a network's inputs and outputs.

    Attributes
    ----------
    names
        Names of the inputs, without the column of ones.
    mean, scale
        A network input is ``(value - mean) / scale``; one number for each name.
    intercept
        Whether a column of ones follows the named inputs.
    kind
        ``regression`` or ``classes``; None for a network that no table was fitted with.
    classes
        Labels: two with one output (a score), three or more with one output each.
    target
        Name of what is predicted.
    y_mean, y_scale
        The prediction (for two classes the score) is ``output * y_scale + y_mean``.
    """

    names: list[str] = Field(validation_alias=AliasChoices("names", "features"))
    mean: list[float]
    scale: list[float]
    intercept: bool
    kind: Literal["regression", "classes", "binary"] | None
    classes: list[str] = []
    target: str = "y"
    y_mean: float = 0.0
    y_scale: float = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> Facts:
        if not len(self.names) == len(self.mean) == len(self.scale):
            raise ValueError("names, mean and scale do not belong together")
        if not np.isfinite([*self.mean, *self.scale, self.y_mean, self.y_scale]).all():
            raise ValueError("a mean or scale is not finite")
        if 0.0 in self.scale or self.y_scale == 0.0:
            raise ValueError("a scale is zero")
        return self

    def outputs(self, count: int) -> list[str]:
        """Names of ``count`` outputs: the target, ``score`` for two classes, or the classes."""
        if self.kind is not None and count == len(self.classes):
            return self.classes
        if count == 1:
            return [self.target if self.kind in (None, "regression") else "score"]
        return [f"{self.target}{i}" for i in range(count)]


def input_facts(recipe: object, inputs: int) -> Facts:
    """Facts of a network with ``inputs`` inputs from its saved recipe; without one, the inputs are x0, x1, ...

    Raises
    ------
    InputError
        The recipe is damaged, or belongs to another network.
    """
    if recipe is None or (isinstance(recipe, Mapping) and "image" in recipe):  # a network of one image reads no rows
        names = [f"x{i}" for i in range(inputs)]
        return Facts(names=names, mean=[0.0] * inputs, scale=[1.0] * inputs, intercept=False, kind=None)
    try:
        facts = Facts.model_validate(recipe)
    except ValidationError as error:
        raise InputError("its recipe for reading tables is damaged; fit the model again") from error
    if len(facts.names) + facts.intercept != inputs:
        raise InputError("the network and its recipe do not fit together; fit the model again")
    return facts
