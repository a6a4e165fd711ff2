"""Cross-validation for commands: a status line while it runs, and its results in words and rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import click

from mlpiht_cli.analysis.paths import PathRow
from mlpiht_cli.commands._status_line import CountLine
from mlpiht_cli.core.comparisons import constant_name
from mlpiht_cli.core.crossval import Validated, choose, constant_error
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.plan.choice import OpenFit, OpenPoint, open_fit

log = logging.getLogger("mlpiht")


def validated(
    opened: OpenFit, problem: Problem, cv: int, quiet: bool, budgets: Sequence[int] | None = None
) -> list[Validated]:
    """Cross-validate the candidates of a fit; on a terminal, a line counts the fits."""
    with CountLine(quiet, "cross-validation: fit") as line:
        return opened.validate(problem, cv, budgets, line)


def chosen(opened: OpenFit, problem: Problem, cv: int, quiet: bool) -> Validated:
    """Choose method, width and budget by cross-validation, and say on stderr what was chosen."""
    found = choose(validated(opened, problem, cv, quiet))
    if not found.error < constant_error(problem, cv, opened.point.seed):
        what = constant_name(problem)
        log.warning("cross-validation finds nothing better than the %s: the inputs may say nothing of it", what)
    one = found.candidate
    width = "" if one.method is opened.line else f", m = {one.m}"
    if not quiet:
        text = f"chosen by {cv}-fold cross-validation on the training rows: {one.method.name}, s = {one.s}{width}"
        click.echo(text, err=True)
    return found


def path_rows(
    task: str, sets: Mapping[str, Any], given: Mapping[str, Any], quiet: bool
) -> tuple[Problem, list[PathRow]]:
    """Return the problem of the options of ``mlpiht path``, and a row for each method and budget."""
    opened = open_fit(OpenPoint(task, given["method"], 1, given["m"], None, given["seed"]), sets)
    problem = opened.task.build(opened.start.axes, opened.start.streams)
    results = validated(opened, problem, given["cv"], quiet, given["s"])
    best = choose(results)
    rows = [
        PathRow(
            one.candidate.method.name,
            *(one.candidate.m, one.candidate.s, one.score, one.score_error, one.error, one is best),
        )
        for one in results
    ]
    return problem, rows
