"""``mlpiht status``: count done and remaining cells of a spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.system.memory import collector_paused

Group = tuple[str, str, str]
"""Panel, method and label."""
Trouble = tuple[str, str, str, str, str]
"""Panel, method, label, status and reason."""


@click.command("status")
@click.argument("spec")
@common.profile_option
@common.set_option
@common.out_option
@click.option("--left", is_flag=True, help="Only panels and methods with cells left to run.")
@click.option("--why", is_flag=True, help="Print which setting or version makes existing rows stale.")
@common.json_option
@collector_paused()
def command(spec: str, profile: str, sets: dict[str, Any], out: Path, left: bool, why: bool, as_json: bool) -> None:
    """Count the cells of SPEC by panel, label of the method and status, and list the reasons of failures."""
    from mlpiht_cli import plan
    from mlpiht_cli.engine.stale import stale_rows
    from mlpiht_cli.engine.sweep import known_in_brief
    from mlpiht_cli.records.rows import DONE
    from mlpiht_cli.records.store import Store
    from mlpiht_cli.specs.find import find_spec

    experiment = plan.load(find_spec(spec), sets)
    store = Store(out)
    loaded, cells = experiment.spec, experiment.cells(profile)
    rows = known_in_brief(cells, store)
    counts: dict[Group, Counter[str]] = {}
    troubles: dict[Trouble, list[Path]] = {}  # with the paths of logs, which may not exist
    for cell in cells:
        point, row = cell.point, rows.get(cell.key)
        status: str = row.status if row else "todo"
        counts.setdefault((point.panel, point.method, point.label), Counter())[status] += 1
        if row and row.reason:
            trouble = point.panel, point.method, point.label, status, row.reason
            troubles.setdefault(trouble, []).append(store.log(row.cell, row.attempt))
    waiting = sum(number for count in counts.values() for status, number in count.items() if status not in DONE)
    if left:
        counts = {group: count for group, count in counts.items() if count.keys() - DONE}
        troubles = {trouble: logs for trouble, logs in troubles.items() if trouble[3] not in DONE}
    stale = stale_rows(cells, rows.keys(), store) if why else []
    if as_json:
        groups = [{"panel": p, "method": m, "label": name, **count} for (p, m, name), count in counts.items()]
        reasons = [
            {"panel": p, "method": m, "label": name, "status": status, "reason": reason, "cells": len(logs)}
            | {"logs": [str(log) for log in logs if log.exists()]}
            for (p, m, name, status, reason), logs in troubles.items()
        ]
        stale_facts = {"why": [one.json for one in stale]} if why else {}
        common.echo_json({"spec": loaded.name, "profile": profile, "groups": groups, "reasons": reasons, **stale_facts})
        return
    click.echo(f"{loaded.name} ({profile}): {len(cells)} cells{f', {waiting} left' if left else ''}")
    for line in _lines(counts, troubles):
        click.echo(line)
    for one in stale:
        click.echo(f"  todo {one.text}")


def _lines(counts: dict[Group, Counter[str]], troubles: dict[Trouble, list[Path]]) -> Iterator[str]:
    for (panel, _, label), count in counts.items():
        text = ", ".join(f"{number} {status}" for status, number in sorted(count.items()))
        yield f"  {panel:<20} {label:<8} {text}"
    for (panel, _, label, status, reason), logs in troubles.items():
        more = next((f"; log: {log}" for log in logs if log.exists()), "")
        yield f"  {status} x{len(logs)} ({panel}, {label}): {reason}{more}"
