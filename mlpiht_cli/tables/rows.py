"""New rows for a recipe: a file of test rows, or of rows to predict."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mlpiht_cli.errors import InputError
from mlpiht_cli.tables.form import Reading
from mlpiht_cli.tables.read import Table, read_table
from mlpiht_cli.tables.recipe import Recipe


def read_used_rows(path: str, recipe: Recipe, used: Collection[str]) -> Table:
    """Read rows in which the columns of features that are not ``used`` may be missing, or hold anything.

    Raises
    ------
    InputError
        As :func:`read_rows`.
    """
    needless = {column.name: column.fill for column in recipe.columns if column.name not in used}
    table = read_rows(path, recipe, needed=tuple(name for name in recipe.features if name in used))
    return replace(table, frame=table.frame.assign(**needless)) if needless else table


def read_rows(path: str, recipe: Recipe, with_target: bool = False, needed: tuple[str, ...] | None = None) -> Table:
    """Read rows in the form of the recipe's own table; columns are found by name, and further ones do not matter.

    ``needed`` are the columns that are read, by default all features. A text file without a header has the columns of
    the recipe's file, or these without the target.

    Raises
    ------
    InputError
        The file cannot be read, or has another number of columns than the recipe's file and no header.
    """
    target = recipe.target if with_target else None
    only = tuple(recipe.features) if needed is None else needed
    known = {column.name: column.categories for column in recipe.columns if column.categories is not None}
    known |= {recipe.target: recipe.classes} if with_target else {}
    reading = Reading(recipe.form, target, only=only, doubt=recipe.seen, known=known)
    table = read_table(path, reading)
    if not table.width or table.width == recipe.width:
        return table
    if with_target or table.width != recipe.width - 1:
        without = "" if with_target else f", or {recipe.width - 1} without the target"
        raise InputError(
            f"{table.source}: has {table.width} columns and no header; it needs the {recipe.width} columns of the "
            f"fitted file in their order{without}"
        )
    names = [f"x{i}" for i in range(recipe.width) if f"x{i}" != recipe.target]
    shifted = {f"x{i}": known[name] for i, name in enumerate(names) if name in known}
    if shifted != known:
        table = read_table(path, replace(reading, known=shifted))
    return replace(table, frame=table.frame.set_axis(names, axis=1))
