"""``mlpiht specs``: the specs that come with the package."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.group("specs")
def command() -> None:
    """List, show or copy the specs that come with mlpiht."""


@command.command("list")
@common.json_option
def list_specs(as_json: bool) -> None:
    """List the specs with their titles."""
    from mlpiht_cli.specs.find import names, shipped
    from mlpiht_cli.specs.read import load_spec

    titles = {name: load_spec(shipped() / f"{name}.yaml").title for name in names()}
    if as_json:
        common.echo_json(titles)
    else:
        common.echo_fields(titles)


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print a spec, with the kinds of figures and the measures of claims in comments."""
    from mlpiht_cli.checks.rules import EVERY_MEASURE
    from mlpiht_cli.figures import KINDS
    from mlpiht_cli.specs.find import find_spec

    text = find_spec(name).read_text(encoding="utf-8")
    click.echo(f"# kinds of figures: {', '.join(KINDS)}")
    click.echo(f"# measures of claims: {', '.join(EVERY_MEASURE)}")
    click.echo(text, nl=False)


@command.command("copy")
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path), default=Path())
def copy(name: str, destination: Path) -> None:
    """Copy a spec to DESTINATION (a folder, or a file ending in .yaml; default: this folder), where you can edit it."""
    from mlpiht_cli.specs.find import find_spec, shipped
    from mlpiht_cli.system.files import check_writable, write_atomic

    own = shipped() / f"{name.removesuffix('.yaml')}.yaml"
    source = own if own.is_file() else find_spec(name)
    is_file = destination.suffix in (".yaml", ".yml") and not destination.is_dir()
    target = destination if is_file else destination / source.name
    if target.exists():
        raise InputError(f"{target} exists; copy to another name, or move it away first")
    check_writable(target.absolute().parent, "another DESTINATION")
    write_atomic(target, source.read_bytes())
    click.echo(str(target))
