"""``mlpiht sweep``: run what is not done yet of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command("sweep")
@click.argument("spec")
@common.profile_option
@click.option("--only", metavar="CONDITIONS", help="Only these cells, e.g. 'method=iht,m<=100,seed=0|1'.")
@common.set_option
@common.shard_option
@click.option("--dry-run", is_flag=True, help="Say what would run, and stop.")
@click.option("--force", is_flag=True, help="Run done cells again; earlier records are kept.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails or diverges.")
@common.device_option
@common.out_option
@common.offline_option
@common.json_option
@click.pass_obj
def command(settings: dict[str, Any], /, spec: str, profile: str, out: Path, **options: Any) -> int:
    """Run all cells of SPEC that are not done, record each at once, and fill the table.

    SPEC is a path or a bare name such as figure1. The same command again resumes. Exit code 1 says that some cells
    failed or diverged.
    """
    from mlpiht_cli import plan
    from mlpiht_cli.commands._progress import Progress
    from mlpiht_cli.files import check_writable
    from mlpiht_cli.runner import Runner, pick_device
    from mlpiht_cli.shards import cells_of
    from mlpiht_cli.specs.expand import parse_only
    from mlpiht_cli.specs.find import find_spec
    from mlpiht_cli.store import Store
    from mlpiht_cli.sweep import Sweep, outlook, summary, survey

    runner = Runner(pick_device(options["device"]))
    loaded, _ = plan.validate(find_spec(spec), options["sets"])
    every = plan.cells(loaded, profile, options["sets"])
    wanted = parse_only(options["only"])
    chosen = [cell for cell in every if wanted(cell.point)]
    if not chosen:
        raise InputError(f"--only {options['only']}: no cell of {loaded.name} fits; see `mlpiht status {spec}`")
    chosen = cells_of(chosen, options["shard"])
    store = Store(out)
    ledger = survey(chosen, store, options["force"], runner.device.type)
    quiet = settings["quiet"] or options["as_json"]
    if not quiet:
        click.echo(f"{loaded.name} ({profile}): {summary(len(chosen), ledger.counts)}{outlook(ledger)}", err=True)
    counts, table = ledger.counts, store.table(loaded.name, profile)
    if not options["dry_run"]:
        for task in {cell.task for cell in ledger.todo}:
            task.check_data()
        check_writable(out / ".records")
        with Progress(len(ledger.todo), settings["quiet"] or not ledger.todo, ledger.shares) as progress:
            rows = Sweep(every, ledger, store, table).run(runner, progress, options["fail_fast"])
        counts = ledger.after(rows)
    if options["as_json"]:
        ran = ledger.counts["todo"] - counts["todo"]
        facts = {"cells": len(chosen), "counts": counts, "ran": ran, "table": str(table)}
        seconds = ledger.costs.total(ledger.parts) if options["dry_run"] else None
        common.echo_json({**facts, "dry_run": options["dry_run"], "seconds": seconds})
    else:
        click.echo(summary(len(chosen), counts) + (outlook(ledger) if options["dry_run"] else f"; {table}"))
    bad = sum(counts[status] for status in ("failed", "diverged", "timeout"))
    return 1 if bad and not options["dry_run"] else 0
