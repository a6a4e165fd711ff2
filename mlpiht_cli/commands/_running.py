"""The run of a sweep's cells, with its bar, its workers and its reasons to stop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from mlpiht_cli.commands import _executors as executors
from mlpiht_cli.commands._progress import Progress
from mlpiht_cli.engine.sweep import Ledger, Policy, Sweep, outlook, summary
from mlpiht_cli.engine.waiting import Waiting, longer_than

if TYPE_CHECKING:
    from mlpiht_cli.commands._stop import Stop
    from mlpiht_cli.records.rows import Row


log = logging.getLogger("mlpiht")


def announce(name: str, ledger: Ledger, workers: int, quiet: bool, max_time: float | None) -> None:
    """Print what is to run and how long it takes, and warn of a cell that takes longer than the sweep may."""
    if not quiet:
        text = summary(len(ledger.cells), ledger.counts) + outlook(ledger, workers)
        click.echo(f"{name}: {text}", err=True)
    if text := longer_than(ledger.todo, ledger.costs, max_time):
        log.warning(text)


def run(sweep: Sweep, ledger: Ledger, stop: Stop, quiet: bool, options: Mapping[str, Any]) -> dict[str, Row]:
    """Run the cells that are left, and return the rows of the selected cells."""
    policy = Policy(stop, options["fail_fast"], options["retries"])
    bar = Progress(len(ledger.todo), quiet or not ledger.todo, ledger.shares)
    with stop, bar as progress, executors.make(options, options["out"], len(ledger.parts)) as executor:
        waiting = stop.under_way = Waiting(ledger.costs, executor.running)

        def on_row(row: Row) -> None:
            waiting.learn(row)
            progress(row)

        return sweep.run(executor, on_row, policy)
