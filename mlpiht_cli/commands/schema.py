"""``mlpiht schema``: print the JSON Schema of specs, for editors."""

from __future__ import annotations

import click

from mlpiht_cli.commands import _common as common


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a spec, with the settings of every task and method."""
    from mlpiht_cli.plan.spec_schema import spec_schema

    common.echo_json(spec_schema())
