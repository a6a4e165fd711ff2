"""Pydantic's errors as faults of a document, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from mlpiht_cli.errors import did_you_mean
from mlpiht_cli.specs.load import Fault

MAX_LISTED = 200
"""Faults that are put into words at most."""

_WORDS = {
    "missing": "this field is missing",
    "too_short": "the grid is empty: give at least one value",
    "too_long": "it has {actual_length} values, and at most {max_length} are allowed",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be {ge} or more",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be {le} or less",
    "finite_number": "it must be a finite number",
    "literal_error": "it must be {expected}",
    "string_too_short": "it needs {min_length} or more characters",
    "string_too_long": "it may have {max_length} characters at most",
    "string_pattern_mismatch": "it does not have the form {pattern}",
}
"""What is wrong, by pydantic's name of the error, with the facts that come with it."""
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping of names to values",
    "model": "a mapping of fields",
    "none": "null",
}
"""What is asked for, by the start of pydantic's name of the error."""


def faults_of(error: ValidationError, prefix: tuple[str | int, ...], model: type[BaseModel]) -> list[Fault]:
    """Pydantic's errors in our words, with a suggestion for a misspelt field."""
    faults = []
    for item in error.errors(include_url=False, include_context=True)[:MAX_LISTED]:
        inner = tuple(part for part in item["loc"] if part != "[key]")
        location = (*prefix, *inner)
        if item["type"] == "extra_forbidden":
            known = _fields_at(model, inner[:-1])
            message = f"unknown field{did_you_mean(str(inner[-1]), known)}"
        else:
            message = said(item)
        faults.append(Fault(location, message))
    return faults


def said(item: Mapping[str, Any]) -> str:
    """One of pydantic's errors in our words, with the value that it refuses."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in ("value_error", "assertion_error"):  # of our own validators
        words = str(context.get("error", "")) or "it is not a value that is known here"
        words = f"{words[0].lower()}{words[1:]}"
    elif kind in _WORDS:
        words = _WORDS[kind].format(**context)
    else:
        asked = _KINDS.get(kind.partition("_")[0])
        words = f"it must be {asked}" if asked else "it is not a value that is known here"
    return words if kind in ("missing", "too_short") else f"{words}, got {_short(item['input'])}"


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
