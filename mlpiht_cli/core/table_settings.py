"""Settings of methods that suit tables of tens to thousands of rows, for tasks, estimators and cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STARTS = 10

TABLE_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    # A sum of ReLUs with positive signs is convex and nonnegative; a table's target need not be.
    "iht": {"signs": "both", "steps": 30, "starts": STARTS},
    "iht_realloc": {"signs": "both", "steps": 30, "starts": STARTS},
    # The paper's fixed step and its sketch are for image data of one scale.
    "iht_vector": {"selection": "magnitude", "step": "safeguarded", "steps": 100, "starts": STARTS},
}
"""Settings by method; each replaces the method's default."""

TABLE_HINTS: Mapping[str, Any] = {
    f"{method}.{name}": value for method, settings in TABLE_SETTINGS.items() for name, value in settings.items()
}
"""The same settings as hints of a task."""
