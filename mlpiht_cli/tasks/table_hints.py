"""Settings of methods that suit tables of tens to thousands of rows."""

from __future__ import annotations

from collections.abc import Mapping

# Chosen by cross-validation on the training rows of nine public tables, for networks of ten neurons and ten weights.
_TRAINED: Mapping[str, object] = {"epochs": 200, "lr": 0.01, "evaluate": "after_retrain"}

TABLE_HINTS: Mapping[str, object] = {
    # A sum of ReLUs with positive signs is convex and nonnegative; a table's target need not be.
    "signs": "both",
    "dense.epochs": 100,
    "dense.lr": 0.01,
    **{f"{method}.{name}": value for method in ("imp", "imp_fused") for name, value in _TRAINED.items()},
}
