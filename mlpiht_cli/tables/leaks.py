"""Tables whose score says little: equal rows in both parts of a split, a feature that is the target, row numbers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpiht_cli.tables.form import drop_option
from mlpiht_cli.tables.text import counts

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mlpiht_cli.tables.read import Table
    from mlpiht_cli.tables.recipe import Kind

log = logging.getLogger("mlpiht")

MANY_EQUAL = 0.1
"""Share of rows equal to another one above which a warning says what they do to the score."""

_ROW_NUMBERS = frozenset(
    (
        *("index", "id", "rowid", "row_id", "row", "row_nr", "rownames", "row.names", "row_names"),
        *("level_0", "x", "x1", "...1", "v1", "column1", "unnamed:0", "no", "no.", "nr", "#", "s.no", "obs", "case"),
    )
)
"""Names that pandas, polars, R, spreadsheets and databases give to row numbers."""


def warn_of_leaks(table: Table, kind: Kind) -> None:
    """Say what makes the score of held-out rows too good: equal rows, columns that are the target, row numbers."""
    equal = int(table.frame.duplicated().sum())
    if equal > MANY_EQUAL * len(table.frame):
        log.warning(
            "%s: %d of %d rows are equal to another one; a row may be in the training and the test rows at once, "
            "and the score too good",
            *(table.source, equal, len(table.frame)),
        )
    features, target = table.features, table.labels
    for name in features.columns:
        if str(name).lower() in _ROW_NUMBERS and counts(features[name]):
            log.warning(
                "%s: column '%s' counts the rows; if it is a row number, leave it out with %s",
                *(table.source, name, drop_option(str(name))),
            )
        if _same(features[name], target, kind):
            log.warning(
                "%s: column '%s' holds the target '%s' in every row, and the score says only that it was found; "
                "leave it out with %s",
                *(table.source, name, target.name, drop_option(str(name))),
            )


def warn_of_shared_rows(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], source: str) -> None:
    """Say how many test rows, inputs ``[n, d]`` and targets ``[n, k]``, are equal to a training row."""
    known, rows = ([row.tobytes() for row in np.concatenate([x.numpy(), y.numpy()], axis=1)] for x, y in (train, test))
    shared = sum(map(frozenset(known).__contains__, rows))
    if shared > MANY_EQUAL * len(rows):
        log.warning(
            "%s: %d of %d test rows are equal to a training row, and the score is too good; take them out",
            *(source, shared, len(rows)),
        )


def _same(feature: pd.Series[Any], target: pd.Series[Any], kind: Kind) -> bool:
    """Whether a feature is the target: equal in every row, or one word or code for each class."""
    if feature.dtype == target.dtype and bool((feature == target).all()):
        return True
    classes = target.nunique()
    if kind != "classes" or not 1 < classes <= len(target) / 2 or feature.nunique(dropna=False) != classes:
        return False
    codes, names = feature.factorize()[0], target.factorize()[0]
    return len(set(zip(codes.tolist(), names.tolist(), strict=True))) == classes
