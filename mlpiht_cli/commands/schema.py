"""``mlpiht schema``: the JSON Schema of specs, for editors."""

from __future__ import annotations

import click

from mlpiht_cli.commands import _common as common


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a spec, with the settings of every task and method."""
    from mlpiht_cli.registry import METHODS, TASKS
    from mlpiht_cli.specs.schema import Spec

    schema = Spec.model_json_schema()
    schema["$defs"] |= {f"task {name}": kind.model_json_schema() for name, kind in TASKS.items()}
    schema["$defs"] |= {f"method {name}": kind.model_json_schema() for name, kind in METHODS.items()}
    common.echo_json(schema)
