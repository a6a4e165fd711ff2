"""``mlpiht clean``: remove records that are of no use, and what killed writers left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from mlpiht_cli.records.clean import Scope


@click.command("clean")
@click.argument("spec", required=False)
@click.option("--failed", is_flag=True, help="Records of attempts that failed or ran out of time, and their logs.")
@click.option("--stale", is_flag=True, help="Records of settings or versions that their spec no longer has.")
@click.option("--all", "everything", is_flag=True, help="All records.")
@common.out_option
@click.option("--dry-run", is_flag=True, help="Say what would go, and stop.")
@common.json_option
def command(
    spec: str | None, failed: bool, stale: bool, everything: bool, out: Path, dry_run: bool, as_json: bool
) -> None:
    """Remove temporary files of killed writers and, if asked, records: of SPEC, or of all specs.

    Tables (CSV) are never removed, so a row of a table still counts as done. --stale judges records of specs that are
    at hand: SPEC, or all those shipped, in this folder and in experiments/.
    """
    from mlpiht_cli.records.clean import look, remove
    from mlpiht_cli.records.store import Store

    flags = [name for name, given in (("failed", failed), ("stale", stale), ("all", everything)) if given]
    if len(flags) > 1:
        raise InputError(f"--{' and --'.join(flags)}: choose one")
    if spec is not None and not flags:
        raise InputError(f"what of {spec}? Add --failed, --stale or --all")
    what = flags[0] if flags else None
    found = look(Store(out), what, _scope(spec, what == "stale"))  # type: ignore[arg-type]  # one of the three words
    gone = len(found.paths) if dry_run else remove(found.paths)
    counts = {"records": len(found.records), "logs": len(found.logs), "temporary": len(found.litter)}
    if as_json:
        files = [str(path) for path in found.paths]
        common.echo_json({**counts, "removed": 0 if dry_run else gone, "kept": found.kept, "files": files})
        return
    verb = "would remove" if dry_run else "removed"
    click.echo(
        f"{out}: {verb} {counts['records']} records, {counts['logs']} logs, {counts['temporary']} temporary files"
    )
    for name, number in sorted(found.kept.items()):
        click.echo(f"  kept {number} of spec '{name}', which is not at hand: mlpiht clean SPEC --stale judges them")


def _scope(spec: str | None, judged: bool) -> Scope:
    """Cells of the spec, or of all specs that are at hand if they are to be ``judged``."""
    from mlpiht_cli import plan
    from mlpiht_cli.records.clean import Scope
    from mlpiht_cli.specs.find import all_specs, find_spec

    keys, names = set(), set()
    for path in [find_spec(spec)] if spec is not None else all_specs() if judged else []:
        try:
            experiment = plan.load(path)
        except InputError as error:
            if spec is not None:
                raise
            click.echo(f"left out: {str(error).splitlines()[0]}", err=True)
            continue
        names.add(experiment.spec.name)
        keys |= {cell.key for profile in experiment.spec.profile_names for cell in experiment.cells(profile)}
    return Scope(frozenset(keys), frozenset(names), spec is None)
