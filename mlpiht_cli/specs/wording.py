"""Pydantic's errors as faults of a document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from mlpiht_cli.errors import did_you_mean
from mlpiht_cli.specs.load import Fault

MAX_LISTED = 200
"""Faults that are put into words at most."""


def faults_of(error: ValidationError, prefix: tuple[str | int, ...], model: type[BaseModel]) -> list[Fault]:
    """Pydantic's errors in our words, with a suggestion for a misspelt field."""
    faults = []
    for item in error.errors(include_url=False, include_context=True)[:MAX_LISTED]:
        inner = tuple(part for part in item["loc"] if part != "[key]")
        location = (*prefix, *inner)
        if item["type"] == "extra_forbidden":
            known = _fields_at(model, inner[:-1])
            message = f"unknown field{did_you_mean(str(inner[-1]), known)}"
        elif item["type"] == "missing":
            message = "this field is missing"
        elif item["type"] == "too_short":
            message = "the grid is empty: give at least one value"
        else:
            message = item["msg"].removeprefix("Value error, ")
            message = f"{message[0].lower()}{message[1:]}, got {_short(item['input'])}"
        faults.append(Fault(location, message))
    return faults


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], inner: tuple[str | int, ...]) -> list[str]:
    """Fields of the model found by walking ``inner`` from ``model``."""
    current: Any = model
    for part in inner:
        if isinstance(part, int):
            continue
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = _model_in(current.model_fields[part].annotation)
        # a name that is no field is the key of a mapping, whose values' model was found one step before
    return [*current.model_fields] if isinstance(current, type) and issubclass(current, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The BaseModel inside an annotation such as ``list[Panel] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(part) for part in getattr(annotation, "__args__", ())]
    return next((model for model in found if model is not None), None)
