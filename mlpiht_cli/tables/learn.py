"""Learn a recipe from training rows, with scikit-learn's imputers, encoders and scalers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mlpiht_cli.errors import InputError
from mlpiht_cli.tables.columns import Column, as_number, is_numbers, numbers, words
from mlpiht_cli.tables.form import DETECTED, Form, drop_option
from mlpiht_cli.tables.looks import look_of
from mlpiht_cli.tables.recipe import Kind, Recipe
from mlpiht_cli.tables.text import MAX_COLUMNS
from mlpiht_cli.tables.written import merges

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("mlpiht")


@dataclass(frozen=True)
class Plan:
    """Decisions that a recipe does not learn; see :class:`~mlpiht_cli.tables.recipe.Recipe`."""

    kind: Kind
    standardise: bool = True
    intercept: bool = True
    form: Form = DETECTED
    seen: Form = DETECTED
    width: int = 0


def learn(features: pd.DataFrame, target: pd.Series[Any], plan: Plan, source: str = "the data") -> Recipe:
    """Learn a recipe from the features and the target of the *training rows alone*.

    Raises
    ------
    InputError
        A column cannot be used: it has no values, too many categories, or values too large; or the target is constant.
    """
    columns = learn_columns(features, source)
    facts = {"columns": columns, "target": str(target.name), "kind": plan.kind, "intercept": plan.intercept}
    facts |= {"form": plan.form, "seen": plan.seen, "width": plan.width}
    inputs = sum(len(column.names) for column in columns)
    facts |= {"mean": [0.0] * inputs, "scale": [1.0] * inputs, **_of_target(target, plan.kind, source)}
    try:
        recipe = Recipe.model_validate(facts)
    except ValidationError as error:  # names that meet
        raise InputError(f"{source}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
    if not plan.standardise:
        return recipe
    whose = [f"column '{column.name}'" for column in columns for _ in column.names]
    mean, scale = _moments(recipe.encoded(features, source), whose, source)
    return recipe.model_copy(update={"mean": mean.tolist(), "scale": scale.tolist()})


def learn_columns(features: pd.DataFrame, source: str) -> list[Column]:
    """Learn the columns of features from training rows: what replaces missing values, and the categories of words.

    Raises
    ------
    InputError
        A column has no values or too many categories, or there are too many inputs.
    """
    numeric = [name for name in features.columns if is_numbers(features[name]) or features[name].isna().all()]
    for name in [name for name in numeric if merges(features[name])]:
        log.warning(
            "%s: column '%s': different whole numbers become equal in double precision, which holds 15 to 17 digits; "
            "subtract a number from all of them, or leave it out with %s",
            *(source, name, drop_option(str(name))),
        )
    medians = dict(zip(numeric, _medians(features[numeric], source), strict=True))
    columns = [
        Column(name=name, fill=medians[name], missing=bool(features[name].isna().any()))
        if name in medians
        else _column_of_words(features[name], source)
        for name in features.columns
    ]
    inputs = sum(len(column.names) for column in columns)
    if inputs > MAX_COLUMNS:
        raise InputError(f"{source}: its columns become {inputs} inputs; at most {MAX_COLUMNS} are allowed")
    return columns


def _medians(features: pd.DataFrame, source: str) -> list[float]:
    if not len(features.columns):
        return []
    from sklearn.impute import SimpleImputer

    values = np.column_stack([numbers(features[name], source) for name in features.columns])
    empty = np.flatnonzero(np.isnan(values).all(axis=0))
    if len(empty):
        name = features.columns[empty[0]]
        raise InputError(
            f"{source}: column '{name}' has no value in the training rows; leave it out with {drop_option(name)}"
        )
    with np.errstate(over="ignore"):
        found = SimpleImputer(strategy="median").fit(values).statistics_
    if not np.isfinite(found).all():
        name = features.columns[int(np.argmin(np.isfinite(found)))]
        raise InputError(f"{source}: column '{name}' has values too large to standardise; divide it by a power of ten")
    return [float(value) for value in found]


def _column_of_words(column: pd.Series[Any], source: str) -> Column:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    values = words(column, source)[:, None]
    imputer = SimpleImputer(strategy="most_frequent", missing_values=None).fit(values)
    filled = imputer.transform(values)
    categories = [str(word) for word in OneHotEncoder().fit(filled).categories_[0]]
    look = look_of(categories)
    if len(categories) > max(2, len(column) / 2):
        like = "like an identifier;" if look is None else f"which look like {look.kind}; {look.mend}, or"
        raise InputError(
            f"{source}: column '{column.name}' has {len(categories)} different words in {len(column)} training rows, "
            f"{like} leave it out with {drop_option(str(column.name))}"
        )
    if look is not None:
        log.warning(
            "%s: column '%s' looks like %s, which are taken as words; %s, or leave it out with %s",
            *(source, column.name, look.kind, look.mend, drop_option(str(column.name))),
        )
    missing = bool(column.isna().any())
    return Column(name=str(column.name), categories=categories, fill=str(imputer.statistics_[0]), missing=missing)


MORE_ROWS = "add rows, hold out fewer of them (task.test_share), or choose another split seed"


def _of_target(target: pd.Series[Any], kind: Kind, source: str) -> dict[str, object]:
    """Classes, or mean and scale of numbers."""
    if kind == "classes":
        return {"classes": _sorted_labels(target, source)}
    values = numbers(target, source)[:, None]
    mean, scale = _moments(values, [f"target '{target.name}'"], source)
    if not _varies(values)[0]:
        raise InputError(f"{source}: target '{target.name}' is constant on the training rows; {MORE_ROWS}")
    return {"y_mean": float(mean[0]), "y_scale": float(scale[0])}


def _sorted_labels(target: pd.Series[Any], source: str) -> list[str]:
    """Labels in ascending order: of numbers if all are numbers, else of the alphabet."""
    labels = sorted({str(label) for label in words(target, source)})
    if len(labels) < 2:
        raise InputError(f"{source}: target '{target.name}' is constant on the training rows; {MORE_ROWS}")
    return sorted(labels, key=float) if all(as_number(label) is not None for label in labels) else labels


def _moments(
    values: NDArray[np.float64], whose: Sequence[str], source: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation over the rows; the scale of a column that does not vary is 1.

    Raises
    ------
    InputError
        The mean or the deviation overflows.
    """
    from sklearn.preprocessing import StandardScaler

    # The squares of small values are 0. Powers of two change no digit; below 1, only a constant column has the scale 1.
    power = np.minimum(np.frexp(np.abs(values).max(axis=0))[1], 0)
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = StandardScaler().fit(np.ldexp(values, -power))
    finite = np.isfinite(scaler.mean_) & np.isfinite(scaler.var_)
    if not finite.all():
        name = whose[int(np.argmin(finite))]
        raise InputError(f"{source}: {name} has values too large to standardise; divide it by a power of ten")
    power_of_scale = np.where(scaler.scale_ == 1.0, 0, power)
    mean, scale = np.ldexp(scaler.mean_, power), np.ldexp(scaler.scale_, power_of_scale)
    far = (scaler.scale_ == 1.0) & _varies(values)  # scikit-learn takes values far from 0 for a constant
    if far.any():
        first = values[0, far]
        shifted = StandardScaler().fit(values[:, far] - first)
        mean[far], scale[far] = shifted.mean_ + first, shifted.scale_
    return mean, scale


def _varies(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each column varies: by more than the rounding of a sum, or in whole numbers."""
    span, size = np.ptp(values, axis=0), np.abs(values).max(axis=0)
    whole = (values == np.round(values)).all(axis=0)
    return np.asarray((span > 2.0 * np.finfo(float).eps * size) | (whole & (span > 0.0)))
