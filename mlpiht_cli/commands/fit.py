"""``mlpiht fit``: fit one network, and print its result row."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import CellSkipped, InputError


@click.command(
    "fit",
    epilog=common.examples(
        "mlpiht fit --method iht --task planted --m 10 --s 20 --set task.n=5000",
        "mlpiht fit --method iht --data my.csv --target y --m 50 --s 100 --save model.npz",
    ),
)
@click.option("--method", required=True, help="Method, e.g. iht or imp.")
@click.option("--task", help="Task, e.g. planted or mnist_binary.")
@click.option("--data", type=click.Path(path_type=Path), help="Your own CSV or NPZ file, instead of --task.")
@click.option("--target", help="Target column of --data (default y).")
@common.shape_options
@common.seed_option
@common.set_option
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the model to this NPZ file.")
@common.device_option
@common.offline_option
@common.json_option
@click.pass_obj
def command(
    settings: dict[str, Any], /, task: str | None, data: Path | None, target: str | None, **options: Any
) -> int:
    """Fit one network and print its result row."""
    if (task is None) == (data is None):
        raise InputError("give either --task NAME or --data FILE")
    if target is not None and data is None:
        raise InputError("--target needs --data")
    sets = options["sets"]
    if data is not None:
        task = "tabular"
        for name in {"task.path", "task.target"} & set(sets):
            raise InputError(f"--set {name}: name the file with --data and its target with --target")
        sets = {**sets, "task.path": str(data), **({"task.target": target} if target else {})}
    sets = common.with_task_options(sets, n=options["n"], d=options["d"], k=options["k"])
    return _fit(str(task), sets, options, settings["quiet"])


def _fit(task: str, sets: dict[str, Any], options: dict[str, Any], quiet: bool) -> int:
    from mlpiht_cli.commands._status_line import FitLine
    from mlpiht_cli.engine.runner import Runner, pick_device
    from mlpiht_cli.plan import single_cell
    from mlpiht_cli.plan.cells import Job
    from mlpiht_cli.specs.point import Point

    axes = (options[name] for name in ("depth", "m", "s", "seed"))
    cell = single_cell(Point("", task, options["method"], *axes), sets)
    runner = Runner(pick_device(options["device"]))
    with contextlib.suppress(CellSkipped):  # the run below puts it in its row
        problem = runner.problem(cell)
        reason = cell.method.supports(problem, cell.shape)
        if reason is not None:
            raise InputError(reason)
    if options["save"] is not None:
        common.check_save(options["save"], cell.method)
    with FitLine(quiet) as line:
        row, fit = next(iter(runner.run(Job((cell,)), line)))
    fields = row.flat()
    (common.echo_json if options["as_json"] else common.echo_row)(fields)
    if options["save"] is not None:
        written = f"no model written: {row.status}"
        if fit is not None and row.status == "ok":
            fit.model.save(options["save"], {"row": fields, "recipe": runner.problem(cell).recipe})
            written = f"model written to {options['save']}"
        click.echo(written, err=True)
    return 0 if row.status in ("ok", "skipped") else 1
