"""``mlpiht path``: score against budget, by cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.commands._table_options import FOLDS, NumberOrAuto, table_options, task_of
from mlpiht_cli.errors import InputError


def _budgets(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    if text is None:
        return None
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise InputError(f"--s {text}: give budgets separated by commas, as in --s 1,2,5,10")
    return sorted({int(word) for word in words})


@click.command("path", epilog=common.examples("mlpiht path --data my.csv --target y"))
@click.option("--method", help="Method (a table: iht, or iht_vector for three classes and more).")
@click.option("--task", help="Task, e.g. mnist_binary.")
@table_options
@click.option("--m", type=NumberOrAuto(), help="Hidden width (default: auto, half the budget).")
@click.option("--s", metavar="LIST", callback=_budgets, help="Budgets, e.g. 1,2,5,10 (default: up to 40).")
@click.option("--cv", type=click.IntRange(2), default=FOLDS, show_default=True, help="Folds of the training rows.")
@click.option("--starts", type=click.IntRange(1), help="Random starts, best by training loss (a table: 10).")
@common.seed_option
@common.set_option
@click.option("--format", "formats", default="png", show_default=True, help="One or more of png, pdf, svg.")
@common.out_option
@common.json_option
@click.pass_obj
def command(settings: dict[str, Any], /, formats: str, out: Path, as_json: bool, **options: Any) -> None:
    """Print and draw the score of networks and sparse lines against their budget s.

    The score is the mean over folds of the training rows, with its standard error; a star marks what `mlpiht fit` with
    --s auto takes: the smallest budget about as good as the best. Test rows are not used.
    """
    kinds = common.picture_formats(formats)
    from mlpiht_cli.analysis.paths import path_csv, path_text
    from mlpiht_cli.commands._choosing import path_rows
    from mlpiht_cli.core.metric import METRICS
    from mlpiht_cli.figures import save
    from mlpiht_cli.figures.path import path_figure
    from mlpiht_cli.system.files import check_writable, write_atomic

    task, sets = task_of(options)
    for folder in ("figures", "tables"):
        check_writable(out / folder)
    problem, rows = path_rows(task, sets, options, settings["quiet"])
    facts, name = METRICS[problem.metric], Path(options["path"] or task).name.partition(".")[0]
    title = f"{name}: {options['cv']}-fold cross-validation, {problem.n} rows"
    files = [*save(path_figure(rows, facts.label, title), out / "figures" / f"{name}-path", kinds)]
    files.append(out / "tables" / f"{name}-path.csv")
    write_atomic(files[-1], path_csv(rows).encode())
    if as_json:
        common.echo_json({"rows": [vars(row) for row in rows], "files": [str(path) for path in files]})
        return
    click.echo(path_text(rows, min(facts.digits, 4)))
    for path in files:
        click.echo(str(path))
