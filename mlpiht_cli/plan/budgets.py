"""Why a budget is too large or too small."""

from __future__ import annotations

from dataclasses import replace

from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan.cells import Cell


def budget_fault(task: Task, method: Method, shape: Shape, s: int, name: str) -> str | None:
    """Say why a budget is too large for a method or for the task's data, or None."""
    dims = task.dims()
    weights = method.weights(dims.d, dims.k, shape)
    if s > weights and method.keeps_budget and not task.clip_budget:
        grows = method.weights(dims.d, dims.k, replace(shape, m=shape.m + 1)) > weights
        return (
            f"s={s} is above the {weights} weights that {name} counts at m={shape.m}; lower s, "
            f"{'raise m, ' if grows else ''}or set task.clip_budget=true to keep all weights there"
        )
    return task.budget_fault(Axes(shape.m, s, shape.depth))


def share_fault(s: int, depth: int) -> str | None:
    """The budget is shared by the hidden layers, so each needs one weight of it."""
    return f"s={s} is below the depth {depth}: each hidden layer needs a weight; raise s" if s < depth else None


def checked(cell: Cell) -> Cell:
    """Return a cell whose budget its method and its data can have.

    Raises
    ------
    InputError
        The budget is too large or too small.
    """
    p = cell.point
    fault = share_fault(p.s, p.depth) or budget_fault(cell.task, cell.method, cell.shape, p.s, p.method)
    if fault:
        raise InputError(fault)
    return cell
