"""``mlpiht status``: what is done of a spec, and what is left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common


@click.command("status")
@click.argument("spec")
@common.profile_option
@common.set_option
@common.out_option
@common.json_option
def command(spec: str, profile: str, sets: dict[str, Any], out: Path, as_json: bool) -> None:
    """Count the cells of SPEC by panel, method and status, and list what went wrong."""
    from mlpiht_cli import plan
    from mlpiht_cli.specs.find import find_spec
    from mlpiht_cli.store import Store
    from mlpiht_cli.sweep import survey

    loaded, _ = plan.validate(find_spec(spec), sets)
    ledger = survey(plan.cells(loaded, profile, sets), Store(out))
    counts: dict[tuple[str, str], Counter[str]] = {}
    troubles: Counter[tuple[str, str, str, str]] = Counter()
    for cell in ledger.cells:
        point, row = cell.point, ledger.rows.get(cell.key)
        status: str = row.status if row else "todo"
        counts.setdefault((point.panel, point.method), Counter())[status] += 1
        if row and row.reason:
            troubles[point.panel, point.method, status, row.reason] += 1
    if as_json:
        groups = [{"panel": p, "method": m, **count} for (p, m), count in counts.items()]
        reasons = [
            {"panel": p, "method": m, "status": status, "reason": reason, "cells": number}
            for (p, m, status, reason), number in troubles.items()
        ]
        common.echo_json({"spec": loaded.name, "profile": profile, "groups": groups, "reasons": reasons})
        return
    click.echo(f"{loaded.name} ({profile}): {len(ledger.cells)} cells")
    for (panel, method), count in counts.items():
        told = ", ".join(f"{number} {status}" for status, number in sorted(count.items()))
        click.echo(f"  {panel:<20} {method:<8} {told}")
    for (panel, method, status, reason), number in troubles.items():
        click.echo(f"  {status} x{number} ({panel}, {method}): {reason}")
