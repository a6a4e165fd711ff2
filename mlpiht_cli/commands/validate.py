"""``mlpiht validate``: check specs without running them."""

from __future__ import annotations

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command("validate")
@click.argument("specs", nargs=-1, required=True)
@common.json_option
def command(specs: tuple[str, ...], as_json: bool) -> None:
    """Check SPECS, and list all faults at once, with file, line and column."""
    from mlpiht_cli import plan
    from mlpiht_cli.specs.find import find_spec

    good: dict[str, dict[str, int]] = {}
    bad = []
    for name in specs:
        try:
            path = find_spec(name)
            draft = plan.load(path).draft
            good[str(path)] = {profile: draft.expansion(profile).total for profile in draft.spec.profile_names}
        except InputError as error:
            bad.append(str(error))
    if bad:
        raise InputError("\n".join(bad))
    if as_json:
        common.echo_json(good)
        return
    for where, counts in good.items():
        text = ", ".join(f"{count} cells in {profile}" for profile, count in counts.items())
        click.echo(f"{where}: ok ({text})")
