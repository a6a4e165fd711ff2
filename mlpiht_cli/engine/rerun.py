"""Run the cells of a table's rows again, with the rows' own settings."""

from __future__ import annotations

from mlpiht_cli.engine.runner import Runner
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan import single_cell
from mlpiht_cli.plan.cells import Cell, Job
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.point import Point


def settings_of(row: Row) -> dict[str, object]:
    """Settings of a row's task and method, with their names in ``--set``.

    Raises
    ------
    InputError
        The row's ``params`` lack the settings of the task or the method.
    """
    parts = {part: row.params.get(part) for part in ("task", "method")}
    sets: dict[str, object] = {}
    for part, settings in parts.items():
        if not isinstance(settings, dict):
            raise InputError(f"row {row.cell}: its params have no settings of the {part}, so it cannot run again")
        sets |= {f"{part}.{name}": value for name, value in settings.items() if name != "version"}
    return sets


def cell_of(row: Row) -> Cell:
    """Return the cell of a row, with all its settings.

    Raises
    ------
    InputError
        The row has a task, method or setting that does not exist (any more).
    """
    point = Point(row.panel, row.task, row.method, row.depth, row.m, row.s, row.seed)
    try:
        return single_cell(point, settings_of(row))
    except InputError as error:
        raise InputError(f"row {row.cell}: {error}") from error


def rerun(row: Row, cell: Cell, runner: Runner) -> Row:
    """Run the cell of a row, and return the new row with the names of the old one."""
    ((made, _),) = runner.run(Job((cell,)))
    return made.model_copy(update={name: getattr(row, name) for name in ("spec", "figure", "panel", "profile")})
