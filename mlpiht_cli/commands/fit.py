"""``mlpiht fit``: fit one network, and print its result row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.commands._table_options import open_options, table_options, task_of
from mlpiht_cli.errors import InputError


@click.command(
    "fit",
    epilog=common.examples(
        "mlpiht fit --method iht --task planted --m 10 --s 20 --set task.n=5000",
        "mlpiht fit --data my.csv --target y --save model.npz",
        "mlpiht fit --data my.csv --target y --m 8 --s 12 --starts 20",
    ),
)
@click.option("--method", help="Method, e.g. iht or imp (a table: iht, or iht_vector for three classes and more).")
@click.option("--task", help="Task, e.g. planted or mnist_binary.")
@table_options
@open_options
@common.size_options
@common.seed_option
@common.set_option
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the model to this NPZ file.")
@common.device_option
@common.offline_option
@common.json_option
@click.pass_obj
def command(settings: dict[str, Any], /, device: str, as_json: bool, **options: Any) -> int:
    """Fit one network and print its result row.

    Of a table, m and s are chosen by cross-validation on the training rows unless they are given. Its row says how good
    the fit is on the training rows, and how good are the mean (or the most frequent class) and a sparse line.
    """
    from mlpiht_cli.commands._fitting import Fitting

    task, sets = task_of(options)
    for name in ("n", "d", "k"):
        if task == "tabular" and options[name] is not None:
            raise InputError(f"--{name} needs --task: a table has its own size")
    sets = common.with_task_options(sets, n=options["n"], d=options["d"], k=options["k"])
    if task != "tabular" and options["method"] is None:
        raise InputError("--method: name one, e.g. --method iht")
    if options["save"] is not None:
        common.check_not_read(
            "--save", options["save"], *(sets.get(f"task.{name}") for name in ("path", "test", "image"))
        )
    row, saved = Fitting(task, sets, device, settings["quiet"]).run(options)
    fields, path = row.flat(), options["save"]
    (common.echo_json if as_json else common.echo_row)(fields)
    if path is not None:
        if saved is not None:
            saved.model.save(path, {"row": fields, "recipe": saved.recipe})
        click.echo(f"model written to {path}" if saved is not None else f"no model written: {row.status}", err=True)
    return 0 if row.status in ("ok", "skipped") else 1
