"""``mlpiht plot``: the figure of a spec or table."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError, did_you_mean

FORMATS = ("png", "pdf", "svg")


@click.command("plot")
@click.argument("source", metavar="SPEC|CSV")
@common.profile_option
@click.option("--format", "formats", default="png,pdf", show_default=True, help="Any of png, pdf, svg.")
@click.option("--style", type=click.Choice(["default", "paper"]), default="default", show_default=True)
@click.option("--annotate", is_flag=True, help="Write the values into the cells.")
@click.option("--partial", is_flag=True, help="Average over the seeds at hand where some are missing.")
@common.out_option
@common.json_option
def command(
    source: str,
    profile: str,
    formats: str,
    style: str,
    annotate: bool,
    partial: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Draw the figure of a SPEC, from its table in the results folder, or of a CSV as it stands.

    Cells without results are hatched, skipped ones marked. Pictures go to DIR/figures.
    """
    kinds = [kind.strip() for kind in formats.split(",") if kind.strip()]
    for kind in kinds or [formats]:
        if kind not in FORMATS:
            raise InputError(f"--format {kind}: unknown{did_you_mean(kind, FORMATS)}")
    from mlpiht_cli.figures import FIGURES, Look, save
    from mlpiht_cli.figures.table import figure_table
    from mlpiht_cli.files import check_writable

    look = Look(paper=style == "paper", annotate=annotate, partial=partial)
    data = figure_table(source, profile, out)
    folder = out / "figures"
    check_writable(folder)
    if data.spec.kind not in FIGURES:
        raise InputError(f"figure.kind '{data.spec.kind}' is unknown{did_you_mean(data.spec.kind, FIGURES)}")
    figure = FIGURES[data.spec.kind](data, look)
    paths = save(figure, folder / data.name, kinds)
    if data.missing:
        shown = "left out of the means" if partial else "hatched"
        click.echo(f"{data.missing} of {data.total} cells have no result yet: {shown}", err=True)
    if as_json:
        common.echo_json({"files": [str(path) for path in paths], "cells": data.total, "missing": data.missing})
    else:
        for path in paths:
            click.echo(str(path))
