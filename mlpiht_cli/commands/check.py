"""``mlpiht check``: check whether a table supports the claims of its spec, or agrees with a reference."""

from __future__ import annotations

import math
from pathlib import Path

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command("check")
@click.argument("source", metavar="SPEC|CSV")
@common.profile_option
@click.option(
    "--reference", type=click.Path(path_type=Path), help="CSV to compare with: an mlpiht table, or plain values."
)
@click.option("--mode", type=click.Choice(["claims", "close", "exact", "stat"]), help="[default: claims, or close]")
@click.option("--tolerance", type=click.FloatRange(0), help="Of close and stat: dB, accuracy, or share of the value.")
@click.option("--only", help="Rows to compare with --reference, e.g. 'panel=depth1,m<=100'.")
@common.out_option
@common.json_option
def command(
    source: str,
    profile: str,
    reference: Path | None,
    mode: str | None,
    tolerance: float | None,
    only: str | None,
    out: Path,
    as_json: bool,
) -> int:
    """Judge the claims of a SPEC by its table in the results folder, or by a CSV of one of the specs.

    With --reference, compare values instead. Modes close and exact compare row by row: close allows 0.5 dB (two PSNRs
    of 100 dB or more are close), 0.005 of accuracy, or 0.001 times the value of any other metric, and exact 1e-9 times
    the value. Mode stat compares means over the seeds and allows the same as close, or three standard errors if that is
    more. These modes, --tolerance and --only need --reference. The exit code is 1 if a claim does not hold, a value
    differs, or a row is missing.
    """
    mode = mode or ("claims" if reference is None else "close")
    if (mode == "claims") != (reference is None):
        raise InputError("--mode claims takes no --reference; --mode close, exact and stat need one")
    if mode == "claims" and (only is not None or tolerance is not None):
        raise InputError("--only and --tolerance need --reference")
    if tolerance is not None and not math.isfinite(tolerance):
        raise InputError(f"--tolerance {tolerance}: give a finite number")
    from mlpiht_cli.checks import reference as references
    from mlpiht_cli.checks.claims import check_claims
    from mlpiht_cli.checks.source import chosen_rows, read_rows, read_source
    from mlpiht_cli.checks.text import claims_text, comparison_text

    if reference is not None:
        path, rows = read_rows(source, profile, out)
        chosen = chosen_rows(rows, only)
        if only is not None and not chosen:
            raise InputError(f"{path}: no row fits --only {only}")
        kept = {id(row) for row in chosen}
        others = [row for row in rows if id(row) not in kept]
        found = references.compare(chosen, reference, mode, tolerance, others)  # type: ignore[arg-type]
        document = {"table": str(path), "reference": str(reference), **found.json}
        title, lines = f"{path} against {reference}", comparison_text(found)
        ok = found.ok
    else:
        table = read_source(source, profile, out)
        name, profile = table.expansion.spec.name, table.expansion.profile
        claims = check_claims(table.expansion, table.rows)
        ok = all(one.held for one in claims)
        document = {"spec": name, "profile": profile, "table": str(table.path)}
        document |= {"claims": [one.json for one in claims], "ok": ok}
        title = f"{name} ({profile}), {table.path}"
        lines = claims_text(claims) if claims else ["the spec makes no claims"]
    if as_json:
        common.echo_json(document)
    else:
        click.echo("\n".join([title, *lines]))
    return 0 if ok else 1
