"""Rows of a table made again from what they say of themselves."""

from __future__ import annotations

from mlpiht_cli.engine.runner import Runner
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan import single_cell
from mlpiht_cli.plan.cells import Cell, Job
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.expand import Point


def settings_of(row: Row) -> dict[str, object]:
    """Settings of a row's task and method, by the names that ``--set`` knows.

    Raises
    ------
    InputError
        The row's ``params`` are none of ours.
    """
    parts = {part: row.params.get(part) for part in ("task", "method")}
    sets: dict[str, object] = {}
    for part, settings in parts.items():
        if not isinstance(settings, dict):
            raise InputError(f"row {row.cell}: its params have no settings of the {part}")
        sets |= {f"{part}.{name}": value for name, value in settings.items() if name != "version"}
    return sets


def cell_of(row: Row) -> Cell:
    """The cell that a row is of, with all its settings.

    Raises
    ------
    InputError
        The row names a task, method or setting that there is not, or not any more.
    """
    point = Point(row.panel, row.task, row.method, row.depth, row.m, row.s, row.seed)
    try:
        return single_cell(point, settings_of(row))
    except InputError as error:
        raise InputError(f"row {row.cell}: {error}") from error


def rerun(row: Row, cell: Cell, runner: Runner) -> Row:
    """Run the cell of a row and return the new row, at the place of the old one."""
    ((made, _),) = runner.run(Job((cell,)))
    return made.model_copy(update={name: getattr(row, name) for name in ("spec", "figure", "panel", "profile")})
