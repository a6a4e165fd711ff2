"""``mlpiht data``: data sets that tasks read."""

from __future__ import annotations

from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError, did_you_mean


@click.group("data")
def command() -> None:
    """List, fetch or verify the data sets."""


def _names(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    from mlpiht_cli.tasks.datasets import FILES

    for name in names:
        if name not in FILES:
            raise InputError(f"unknown data set '{name}'{did_you_mean(name, FILES)}")
    return names or tuple(FILES)


names_argument = click.argument("names", nargs=-1, callback=_names)


@command.command("list")
@common.json_option
def list_data(as_json: bool) -> None:
    """List the folders that are searched, and where each file is found."""
    from mlpiht_cli.tasks.datasets import FILES, data_dirs, find

    found = {f"{name}/{file.name}": find(file) for name, files in FILES.items() for file in files}
    if as_json:
        places: dict[str, Any] = {key: str(path) if path else None for key, path in found.items()}
        common.echo_json({"searched": [str(d) for d in data_dirs()], "files": places})
        return
    click.echo(f"searched: {', '.join(str(d) for d in data_dirs())}")
    for key, path in found.items():
        click.echo(f"{key:<30} {path or 'not here: `mlpiht data fetch` downloads it'}")


@command.command("fetch")
@names_argument
@common.offline_option
def fetch(names: tuple[str, ...]) -> None:
    """Download the missing files of NAMES (default: all) to the user's cache folder."""
    from mlpiht_cli.tasks.datasets import FILES, download, find, payload, sha256

    for name in names:
        for file in FILES[name]:
            path = find(file)
            if path is not None and sha256(payload(path, file.limit)) != file.payload_sha256:
                raise InputError(f"{path}: not the official file; move it away, then fetch again")
            click.echo(str(path or download(file)))


@command.command("verify")
@names_argument
def verify(names: tuple[str, ...]) -> int:
    """Compare local files of NAMES (default: all) with the official checksums; exit code 1 if one differs."""
    from mlpiht_cli.tasks.datasets import FILES, find, payload, sha256

    good = True
    for name, file in [(one, file) for one in names for file in FILES[one]]:
        path, verdict = find(file), "missing"
        if path is not None:
            try:
                official = sha256(payload(path, file.limit)) == file.payload_sha256
                verdict = f"{'ok' if official else 'NOT the official file'}  {path}"
            except InputError as error:
                verdict = f"damaged  {error}"
        good &= verdict.startswith("ok")
        click.echo(f"{f'{name}/{file.name}':<31} {verdict}")
    return 0 if good else 1
