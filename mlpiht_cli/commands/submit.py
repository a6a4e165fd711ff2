"""``mlpiht submit``: write the script of an array job that runs a sweep."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command(
    "submit",
    epilog=common.examples("mlpiht submit figure1 --to slurm --array 20 --print > job.sh", "sbatch job.sh"),
)
@click.argument("spec")
@click.option("--to", "scheduler", type=click.Choice(["slurm", "pbs"]), required=True, help="The scheduler.")
@click.option("--array", "count", type=click.IntRange(1, 100_000), required=True, help="Number of tasks in the array.")
@click.option("--print", "shown", is_flag=True, help="Print the script (required; nothing is sent).")
@click.option("--time", default="12:00:00", show_default=True, metavar="HH:MM:SS", help="Time limit of each task.")
@common.profile_option
@click.option("--only", metavar="CONDITIONS", help="Only these cells, as in sweep.")
@common.set_option
@common.device_option
@common.out_option
def command(spec: str, scheduler: str, count: int, shown: bool, time: str, **options: Any) -> None:
    """Write the script of an array job in which each task runs its share of SPEC (`sweep --shard`)."""
    if not shown:
        raise InputError("submit only writes the script: add --print, then send the script with `sbatch` or `qsub`")
    from mlpiht_cli import plan
    from mlpiht_cli.engine import arrays
    from mlpiht_cli.plan.cells import jobs
    from mlpiht_cli.specs.filters import parse_only
    from mlpiht_cli.specs.find import find_spec

    experiment = plan.load(find_spec(spec), options["sets"])
    wanted = parse_only(options["only"])
    parts = jobs([cell for cell in experiment.cells(options["profile"]) if wanted.admits(cell.point)])
    if len(parts) < count:
        raise InputError(f"--array {count}: the sweep has only {len(parts)} jobs; give a smaller number")
    words = [sys.executable, "-m", "mlpiht_cli", "sweep", spec, "--profile", options["profile"]]
    words += ["--only", options["only"]] if options["only"] else []
    for name, value in options["sets"].items():
        words += ["--set", f"{name}={common.yaml_text(value)}"]
    words += [] if options["device"] == "auto" else ["--device", options["device"]]
    words += ["--out", str(options["out"])] if options["out"] != Path("results") else []
    click.echo(arrays.script(scheduler, count, time, experiment.spec.name, words), nl=False)
