"""``mlpiht clean``: remove records that nobody needs, and temporary files of killed processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from mlpiht_cli.records.clean import Scope, What

RECORD_KINDS: tuple[What, ...] = ("failed", "stale", "all")


@click.command("clean")
@click.argument("spec", required=False)
@click.option("--failed", is_flag=True, help="Records of attempts that failed or ran out of time, and their logs.")
@click.option("--stale", is_flag=True, help="Records of settings or versions that the spec no longer has.")
@click.option("--all", is_flag=True, help="All records.")
@common.out_option
@click.option("--dry-run", is_flag=True, help="Remove nothing; print what would go, with SPEC for each kind of record.")
@common.json_option
def command(spec: str | None, out: Path, dry_run: bool, as_json: bool, **given: bool) -> None:
    """Remove temporary files of killed processes and, with an option, records: of SPEC, or of all specs.

    Tables (CSV) stay, so a row of a table still counts as done. --stale compares records with the specs that it finds:
    SPEC, or all specs that are shipped, in this folder or in experiments/.
    """
    from mlpiht_cli.records.clean import look, remove
    from mlpiht_cli.records.store import Store

    flags = [kind for kind in RECORD_KINDS if given[kind]]
    if len(flags) > 1:
        raise InputError(f"--{' and --'.join(flags)}: choose one")
    if spec is not None and not flags and not dry_run:
        raise InputError(f"{spec}: choose the records to remove with --failed, --stale or --all; --dry-run counts them")
    kind, store = flags[0] if flags else None, Store(out)
    scope = _scope(spec, kind == "stale")
    found = look(store, kind, scope)
    kinds = {} if spec is None or kind else {one: look(store, one, scope) for one in RECORD_KINDS}
    gone = len(found.paths) if dry_run else remove(found.paths)
    if as_json:
        facts = {**found.counts, "temporary": len(found.litter), "removed": 0 if dry_run else gone, "kept": found.kept}
        more = {"kinds": {name: one.counts for name, one in kinds.items()}} if kinds else {}
        common.echo_json({**facts, "files": [str(path) for path in found.paths], **more})
        return
    click.echo(f"{out}: {'would remove' if dry_run else 'removed'} {found.text}, {len(found.litter)} temporary files")
    for option, each in kinds.items():
        click.echo(f"  with --{option:<6} {each.text} of {spec}")
    for name, number in sorted(found.kept.items()):
        click.echo(f"  kept {number} of spec '{name}', not found; `mlpiht clean SPEC --stale --dry-run` compares them")


def _scope(spec: str | None, judged: bool) -> Scope:
    """Cells of the spec, or of all specs that are found if their records are to be ``judged``."""
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
