"""Tables whose score says little: equal rows on both sides of a split, and a feature that is the target."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mlpiht_cli.tables.form import drop_option

if TYPE_CHECKING:
    import pandas as pd

    from mlpiht_cli.tables.read import Table

log = logging.getLogger("mlpiht")

MANY_EQUAL = 0.1
"""Share of rows equal to another one above which a warning says what they do to the score."""


def warn_of_leaks(table: Table) -> None:
    """Say what makes the score of held-out rows too good: many equal rows, and columns that are the target."""
    equal = int(table.frame.duplicated().sum())
    if equal > MANY_EQUAL * len(table.frame):
        log.warning(
            "%s: %d of %d rows are equal to another one; a row may be in the training and the test rows at once, "
            "and the score too good",
            *(table.source, equal, len(table.frame)),
        )
    features, target = table.features, table.labels
    for name in features.columns:
        if _same(features[name], target):
            log.warning(
                "%s: column '%s' holds the target '%s' in every row, and the score says only that it was found; "
                "leave it out with %s (task.drop of a spec)",
                *(table.source, name, target.name, drop_option(str(name))),
            )


def _same(feature: pd.Series[Any], target: pd.Series[Any]) -> bool:
    """Whether a feature is the target: equal in every row, or one word or code for each class of several rows."""
    if feature.dtype == target.dtype and bool((feature == target).all()):
        return True
    classes = target.nunique()
    if not 1 < classes <= len(target) / 2 or feature.nunique(dropna=False) != classes:
        return False
    codes, names = feature.factorize()[0], target.factorize()[0]
    return len(set(zip(codes.tolist(), names.tolist(), strict=True))) == classes
