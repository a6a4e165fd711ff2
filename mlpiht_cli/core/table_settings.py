"""Settings of methods that suit tables of tens to thousands of rows, for tasks, estimators and cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mlpiht_cli.core.method import Method

Made = TypeVar("Made", bound=Method)
STARTS = 10

TABLE_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # A sum of ReLUs with positive signs is convex and nonnegative; a table's target need not be.
    "iht_linear": {"offset": True},
    "iht": {"signs": "both", "steps": 30, "starts": STARTS},
    "iht_realloc": {"signs": "both", "steps": 30, "starts": STARTS},
    # The paper's fixed step and its sketch are for image data of one scale.
    "iht_vector": {"selection": "magnitude", "step": "safeguarded", "steps": 100, "starts": STARTS},
    # Chosen by cross-validation on the training rows of nine public tables, for ten neurons and ten weights.
    "imp": {"epochs": 200, "lr": 0.01, "evaluate": "after_retrain", "starts": STARTS},
    "imp_fused": {"epochs": 200, "lr": 0.01, "evaluate": "after_retrain", "starts": STARTS},
    "dense": {"epochs": 100, "lr": 0.01, "starts": STARTS},
    "torch_prune": {"starts": STARTS},
    "mlp": {"starts": STARTS},
}
"""Settings by method; each replaces the method's default."""


def suited(kind: type[Made], **settings: Any) -> Made:
    """Make a method with the settings that suit tables, replaced by others."""
    return kind.model_validate({**TABLE_SETTINGS.get(kind.name, {}), **settings})


TABLE_HINTS: Mapping[str, Any] = {
    f"{method}.{name}": value for method, settings in TABLE_SETTINGS.items() for name, value in settings.items()
}
"""The same settings as hints of a task."""
