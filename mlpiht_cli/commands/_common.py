"""Options and output that several subcommands share."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.load import parse_scalar
from mlpiht_cli.specs.point import MAX_SEED

if TYPE_CHECKING:
    from mlpiht_cli.core.method import Method

F = TypeVar("F", bound=Callable[..., Any])


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Combine several option decorators into one; the first is the outermost."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def examples(*lines: str) -> str:
    """Epilog of a command's help: command lines, each on a line of its own."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])  # click keeps line breaks after \b


def _parse_sets(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set {pair}: write name=value, as in --set task.n=1000")
        sets[name.strip()] = parse_scalar(text)
    return sets


def yaml_text(value: Any) -> str:
    """Return the text that ``--set`` reads as this value."""
    return json.dumps(value)


set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_parse_sets,
    help="Change a setting, e.g. task.n=1000, method.steps=30, method.imp.epochs=5; repeatable.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
seed_option = click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:i.")
profile_option = click.option(
    "--profile",
    type=click.Choice(["smoke", "laptop", "paper"]),
    default="paper",
    show_default=True,
    help="Size of the experiment.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Results folder.",
)


def _parse_shard(_: click.Context, __: click.Parameter, text: str | None) -> Any:
    from mlpiht_cli.engine.shards import parse_shard

    return None if text is None else parse_shard(text, os.environ)


shard_option = click.option(
    "--shard",
    metavar="I/N",
    callback=_parse_shard,
    help="Only part I of N (from 1); auto or auto/N in a SLURM or PBS array.",
)


def _go_offline(_: click.Context, __: click.Parameter, value: bool) -> bool:
    if value:
        os.environ["MLPIHT_OFFLINE"] = "1"
    return value


offline_option = click.option(
    "--offline", is_flag=True, expose_value=False, callback=_go_offline, help="Never download data."
)
size_options = options(
    click.option("--k", type=click.IntRange(1), help="Outputs (task.k)."),
    click.option("--n", type=click.IntRange(1), help="Samples (task.n)."),
    click.option("--d", type=click.IntRange(1), help="Input features (task.d)."),
)
shape_options = options(
    click.option("--m", type=click.IntRange(1), required=True, help="Hidden width."),
    click.option("--s", type=click.IntRange(1), required=True, help="Budget: nonzero weights allowed."),
    click.option("--depth", type=click.IntRange(1, 10), default=1, show_default=True, help="Hidden layers."),
    size_options,
)


def with_task_options(sets: Mapping[str, Any], **given: int | None) -> dict[str, Any]:
    """Add ``--n``, ``--d`` and ``--k`` to the settings, as settings of the task."""
    return {**sets, **{f"task.{name}": value for name, value in given.items() if value is not None}}


def echo_json(value: Any) -> None:
    """Print one JSON document; inf and nan become strings."""
    click.echo(json.dumps(_finite(value), indent=2))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def check_not_read(option: str, file: Path, *read: str | Path | None) -> None:
    """Refuse to write over a file that the command reads."""
    for one in map(str, filter(None, read)):
        if file.exists() and Path(one).exists() and file.samefile(one):
            raise InputError(f"{option} {file}: is read by this command and would be lost; choose another name")


def check_save(path: Path, method: Method) -> None:
    """Check that a model can be saved, before it is fitted.

    Raises
    ------
    InputError
        The method makes no network, or its file cannot be written.
    """
    from mlpiht_cli.system.files import check_writable

    if not method.is_network:
        raise InputError(f"{method.name} only predicts: its model is no network and cannot be saved; leave out --save")
    check_writable(path.absolute().parent, "--save FILE")


CELL_FIELDS = ("task", "method", "depth", "n", "d", "k", "m", "s", "seed", "status", "reason", "metric", "value")
MACHINE_FIELDS = ("peak_rss_mb", "device", "threads", "blas")


def echo_row(columns: Mapping[str, Any]) -> None:
    """Print the main columns of a results row; ``--json`` prints all of them."""
    from mlpiht_cli.records.rows import SCORES

    scores = [name for name in SCORES if name != "settled"]
    echo_fields({name: columns[name] for name in (*CELL_FIELDS, *scores, *MACHINE_FIELDS)} | columns["measures"])


def echo_fields(fields: Mapping[str, Any]) -> None:
    """Print name and value in two columns, without the unknown values."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        if value is not None and value != "":
            click.echo(f"{name:<{width}}  {f'{value:.6g}' if isinstance(value, float) else value}")


FORMATS = ("png", "pdf", "svg")


def picture_formats(text: str) -> list[str]:
    """Split a list such as ``png,pdf``.

    Raises
    ------
    InputError
        A format is unknown, or the list is empty.
    """
    kinds = [kind.strip() for kind in text.split(",") if kind.strip()]
    for kind in kinds or [text]:
        if kind not in FORMATS:
            raise InputError(f"--format {kind}: unknown{did_you_mean(kind, FORMATS)}")
    return kinds
