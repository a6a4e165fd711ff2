"""``mlpiht sweep``: run the cells of a spec that are not done."""

from __future__ import annotations

from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.commands import _executors as executors
from mlpiht_cli.errors import InputError

ONLY = """Only these cells, e.g. 'method=iht,m<=100,seed=0|1'. A condition on n or d fits only cells of panels that vary
it."""


@click.command("sweep")
@click.argument("spec")
@common.profile_option
@click.option("--only", metavar="CONDITIONS", help=ONLY)
@common.set_option
@common.shard_option
@click.option("--dry-run", is_flag=True, help="Run nothing; print what would run.")
@click.option("--force", is_flag=True, help="Run done cells again; earlier records stay.")
@common.device_option
@executors.executor_options
@common.out_option
@common.offline_option
@common.json_option
@click.pass_obj
def command(settings: dict[str, Any], /, spec: str, profile: str, **options: Any) -> int:
    """Run all cells of SPEC that are not done, record each at once, and write the table.

    SPEC is a path, or a name such as figure1. The same command resumes a stopped sweep. The exit code is 1 if cells
    failed or diverged, 75 if --max-time, SIGTERM, SIGHUP or SIGUSR1 stopped the sweep, and 130 if Ctrl-C did. With
    several workers, a cell that dies, hangs (--cell-timeout) or raises gives one failed row, and the others go on.
    """
    from mlpiht_cli import plan
    from mlpiht_cli.commands import _running as running
    from mlpiht_cli.commands._stop import Stop
    from mlpiht_cli.engine.shards import cells_of
    from mlpiht_cli.engine.sweep import Sweep, outlook, summary, survey
    from mlpiht_cli.records.store import Store
    from mlpiht_cli.specs.filters import parse_only
    from mlpiht_cli.specs.find import command_line, find_spec
    from mlpiht_cli.system.files import check_writable

    workers, kind = executors.check(options)
    experiment = plan.load(find_spec(spec), options["sets"])
    loaded, every = experiment.spec, experiment.cells(profile)
    wanted = parse_only(options["only"])
    chosen = [cell for cell in every if wanted.admits(cell.point)]
    if not chosen:
        status = command_line("status", spec, profile, options["out"])
        raise InputError(f"--only {options['only']}: no cell of {loaded.name} fits; see `{status}`")
    chosen = cells_of(chosen, options["shard"])
    store = Store(options["out"])
    ledger = survey(chosen, store, options["force"], kind)
    quiet = settings["quiet"] or options["as_json"]
    running.announce(f"{loaded.name} ({profile})", ledger, workers, quiet, options["max_time"])
    counts, table, stop = ledger.counts, store.table(loaded.name, profile), Stop(options["max_time"])
    if not options["dry_run"]:
        ledger.check_data()
        check_writable(options["out"] / ".records")
        rows = running.run(Sweep(every, ledger, store, table), ledger, stop, settings["quiet"], options)
        counts = ledger.after(rows)
        stop.settle(ledger.left(rows))
    seconds = ledger.costs.total(ledger.parts, workers) if options["dry_run"] else None
    facts = {"cells": len(chosen), "counts": counts, "ran": ledger.counts["todo"] - counts["todo"], "table": str(table)}
    facts |= {"dry_run": options["dry_run"], "seconds": seconds, "stopped": stop.why, "seconds_late": stop.late}
    text = summary(len(chosen), counts) + (outlook(ledger, workers) if options["dry_run"] else f"; {table}")
    common.echo_json(facts) if options["as_json"] else click.echo(text)
    bad = sum(counts[status] for status in ("failed", "diverged", "timeout"))
    return stop.code or (1 if bad and not options["dry_run"] else 0)
