"""Options of commands that fit a table, and places of a fit that cross-validation may fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mlpiht_cli.commands._common import options
from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.point import MAX_SEED

OPTIONS = {
    "path": "--data",
    "target": "--target",
    "test": "--test",
    "drop": "--drop",
    "kind": "--kind",
    "header": "--no-header",
    "split_seed": "--split-seed",
}
"""Options by the setting of the task ``tabular`` that they give."""
FOLDS = 5
"""Folds of a choice by cross-validation, unless --cv is given."""


class NumberOrAuto(click.ParamType[int | None]):
    """A whole number from 1, or ``auto``, which is None."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the number, or None for ``auto``."""
        if value == "auto":
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"'{value}' is neither a whole number from 1 nor auto", param, ctx)
        return int(value)


def _names(_: click.Context, __: click.Parameter, text: str | None) -> list[str] | None:
    from mlpiht_cli.tables.form import dropped

    return None if text is None else dropped(text)


def _header(_: click.Context, __: click.Parameter, is_without: bool) -> bool | None:
    return False if is_without else None


table_options = options(
    click.option("--data", "path", help="Your own table, instead of --task: CSV, TSV, Parquet or NPZ; - is stdin."),
    click.option("--target", help="Target column of --data (default y)."),
    click.option("--test", help="File with the test rows; all rows of --data are then for training."),
    click.option(
        "--drop",
        metavar="COLUMNS",
        callback=_names,
        help="Columns to leave out, separated by commas; a name with a comma in double quotes.",
    ),
    click.option("--kind", type=click.Choice(["auto", "regression", "classes"]), help="What the target is."),
    click.option(
        "--no-header", "header", is_flag=True, callback=_header, help="The columns have no names: x0, x1, ..."
    ),
    click.option("--split-seed", type=click.IntRange(0, MAX_SEED), help="Seed of the test rows (default: --seed)."),
)
open_options = options(
    click.option("--m", type=NumberOrAuto(), help="Hidden width (a table: auto by default)."),
    click.option("--s", type=NumberOrAuto(), help="Budget: nonzero weights allowed (a table: auto by default)."),
    click.option("--cv", type=click.IntRange(2), help=f"Folds of the choice of m and s (default {FOLDS})."),
    click.option("--starts", type=click.IntRange(1), help="Random starts, best by training loss (a table: 10)."),
    click.option("--depth", type=click.IntRange(1, 10), default=1, show_default=True, help="Hidden layers."),
)


def folds(given: Mapping[str, Any]) -> int | None:
    """Return the folds of the choice of width and budget; None if both are given, and nothing is left to choose.

    Raises
    ------
    InputError
        --cv is given as well.
    """
    cv: int | None = given["cv"]
    if None in (given["m"], given["s"]):
        return cv or FOLDS
    if cv is not None:
        raise InputError(
            f"--cv {cv} has no effect with both --m and --s, which leave nothing to choose; leave out --cv, or the one "
            "of --m and --s that cross-validation should choose"
        )
    return None


def task_of(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of the task, and all settings, from the options of a command.

    Raises
    ------
    InputError
        Neither or both of --task and --data are given, or an option that the other one needs.
    """
    sets, own = dict(given["sets"]), {name: given[name] for name in OPTIONS if given[name] is not None}
    if (given["task"] is None) == ("path" not in own):
        raise InputError("give either --task NAME or --data FILE")
    if given["task"] is not None and own:
        raise InputError(f"{OPTIONS[next(iter(own))]} needs --data")
    if {"test", "split_seed"} <= own.keys():
        raise InputError("--split-seed has no effect with --test, whose rows are the test rows; give one of them")
    more = {f"task.{name}": (value, OPTIONS[name]) for name, value in own.items()}
    if given["starts"] is not None:
        more["method.starts"] = given["starts"], "--starts"
    for name, (value, option) in more.items():
        if name in sets:
            raise InputError(f"--set {name}: give {option} instead")
        sets[name] = value
    return given["task"] or "tabular", sets
