"""``mlpiht pictures``: draw fitted networks."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common


@click.command("pictures")
@click.argument("spec")
@common.profile_option
@click.option("--format", "formats", default="png", show_default=True, help="One or more of png, pdf, svg.")
@common.device_option
@common.out_option
@common.offline_option
@common.json_option
def command(spec: str, profile: str, formats: str, device: str, out: Path, as_json: bool) -> None:
    """Fit the networks named under `pictures` of SPEC, and draw them into the folder figures of the results folder.

    A network of an image is drawn as its reconstruction, next to the image. A network of a planted task is drawn as its
    weight matrix, next to the planted one.
    """
    from mlpiht_cli import plan
    from mlpiht_cli.engine.pictures import picture
    from mlpiht_cli.engine.runner import Runner, pick_device
    from mlpiht_cli.figures import save
    from mlpiht_cli.specs.find import find_spec
    from mlpiht_cli.system.files import check_writable

    kinds = common.picture_formats(formats)
    runner = Runner(pick_device(device))
    experiment = plan.load(find_spec(spec))
    loaded, cells = experiment.spec, experiment.cells(profile)
    check_writable(out / "figures")
    paths = []
    for wanted in loaded.pictures:
        figure = picture(loaded, wanted, cells, runner)
        if figure is None:
            click.echo(f"{wanted.name}: the {profile} profile holds none of its cells", err=True)
            continue
        stem = out / "figures" / f"{loaded.name}{'' if profile == 'paper' else f'-{profile}'}-{wanted.name}"
        paths += save(figure, stem, kinds)
    if as_json:
        common.echo_json({"files": [str(path) for path in paths]})
    elif not loaded.pictures:
        click.echo(f"{loaded.name} names no pictures", err=True)
    for path in [] if as_json else paths:
        click.echo(str(path))
