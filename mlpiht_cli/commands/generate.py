"""``mlpiht generate``: write a task's data and planted weights to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import CellSkipped, InputError


@click.command("generate", epilog=common.examples("mlpiht generate planted --m 10 --s 20 --n 1000 --out planted.npz"))
@click.argument("task")
@common.shape_options
@common.seed_option
@common.set_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="NPZ file to write.")
@common.offline_option
@common.json_option
def command(task: str, sets: dict[str, Any], out: Path, as_json: bool, **options: Any) -> None:
    """Make the data of TASK and write them to an NPZ file.

    The file holds x, y (x_test, y_test where they differ), the planted weights weights0, weights1, ... as (in, out)
    matrices, readout (planted output signs, unless all are +1), and a manifest with the sha256 of each array. FILE.json
    holds the manifest, too.
    """
    from mlpiht_cli.core.task import Axes
    from mlpiht_cli.plan import make_task
    from mlpiht_cli.rng import Streams
    from mlpiht_cli.system.files import check_writable
    from mlpiht_cli.tasks.dataset_file import write_dataset

    axes = Axes(options["m"], options["s"], options["depth"])
    sets = common.with_task_options(sets, n=options["n"], d=options["d"], k=options["k"])
    made = make_task(task, sets)
    if out.suffix != ".npz":
        raise InputError(f"--out {out}: the file is an NPZ archive; let its name end in .npz")
    if out.with_name(f"{out.name}.json").is_dir() or out.is_dir():
        raise InputError(f"--out {out}: a folder of that name (or with .json after it) is in the way")
    try:
        problem = made.build(axes, Streams(options["seed"]))
    except CellSkipped as skip:
        raise InputError(str(skip)) from skip
    check_writable(out.absolute().parent, "--out FILE")
    facts = {"task": task, "version": made.version, "params": made.recorded()}
    facts |= {"m": axes.m, "s": axes.s, "depth": axes.depth, "seed": options["seed"]}
    manifest = write_dataset(out, facts, problem)
    if as_json:
        common.echo_json(manifest)
        return
    for name, facts in manifest["arrays"].items():
        click.echo(f"{name:<9} {facts['shape']!s:<14} {facts['dtype']:<8} sha256 {facts['sha256']}")
    click.echo(f"written to {out}", err=True)
