"""``mlpiht sweep``: run what is not done yet of a spec."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
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
    from mlpiht_cli.files import check_writable
    from mlpiht_cli.runner import Runner, pick_device
    from mlpiht_cli.specs.expand import parse_only
    from mlpiht_cli.specs.find import find_spec
    from mlpiht_cli.store import Store
    from mlpiht_cli.sweep import Sweep, survey

    runner = Runner(pick_device(options["device"]))
    loaded, _ = plan.validate(find_spec(spec), options["sets"])
    every = plan.cells(loaded, profile, options["sets"])
    wanted = parse_only(options["only"]) if options["only"] else lambda _: True
    chosen = [cell for cell in every if wanted(cell.point)]
    if not chosen:
        raise InputError(f"--only {options['only']}: no cell of {loaded.name} fits; see `mlpiht status {spec}`")
    store = Store(out)
    ledger = survey(chosen, store, options["force"])
    for task in {cell.task for cell in ledger.todo}:
        task.check_data()
    if not options["dry_run"]:
        check_writable(out / ".records")
    table = store.table(loaded.name, profile)
    quiet = settings["quiet"] or options["as_json"]
    if not quiet:
        click.echo(f"{loaded.name} ({profile}): {summary(len(chosen), ledger.counts)}", err=True)
    if options["dry_run"]:
        return _report(ledger.counts, len(chosen), table, options, ran=0)
    sweep = Sweep(every, ledger, store, table)
    rows = _run(sweep, runner, len(ledger.todo), settings["quiet"], options["fail_fast"])
    counts = Counter(row.status for key, row in rows.items() if key in {cell.key for cell in chosen})
    counts["todo"] = len(chosen) - sum(counts.values())
    return _report(+counts, len(chosen), table, options, ran=len(ledger.todo))


def _run(sweep: Any, runner: Any, total: int, quiet: bool, fail_fast: bool) -> Any:
    from mlpiht_cli.commands._progress import Progress

    try:
        with Progress(total, quiet or not total) as progress:
            return sweep.run(runner, progress, fail_fast)
    except KeyboardInterrupt:
        again = shlex.join(["mlpiht", *sys.argv[1:]])
        click.echo(f"stopped; every finished cell is recorded. To go on: {again}", err=True)
        raise


def summary(total: int, counts: Counter[str]) -> str:
    """One line such as ``300 cells: 40 done, 2 failed, 258 to run``."""
    words = [("ok", "done"), *((status, status) for status in ("skipped", "diverged", "failed", "timeout"))]
    parts = [f"{counts[status]} {word}" for status, word in [*words, ("todo", "to run")] if counts[status]]
    return f"{total} cells: {', '.join(parts)}"


def _report(counts: Counter[str], total: int, table: Path, options: dict[str, Any], ran: int) -> int:
    bad = sum(counts[status] for status in ("failed", "diverged", "timeout"))
    if options["as_json"]:
        common.echo_json(
            {
                "cells": total,
                "counts": dict(counts),
                "ran": ran,
                "table": str(table),
                "dry_run": options["dry_run"],
            }
        )
    elif options["dry_run"]:
        click.echo(summary(total, counts))
    else:
        click.echo(f"{summary(total, counts)}; {table}")
    return 1 if bad and not options["dry_run"] else 0
