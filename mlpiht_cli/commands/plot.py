"""``mlpiht plot``: draw the figure of a spec or table."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common


@click.command("plot")
@click.argument("source", metavar="SPEC|CSV")
@common.profile_option
@click.option("--format", "formats", default="png,pdf", show_default=True, help="One or more of png, pdf, svg.")
@click.option("--style", type=click.Choice(["default", "paper"]), default="default", show_default=True)
@click.option("--annotate", is_flag=True, help="Write the values into the cells.")
@click.option("--partial", is_flag=True, help="Average over the seeds that have results, where some are missing.")
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
    """Draw the figure or the views of a SPEC from its table in the results folder, or of a CSV.

    Cells without results are hatched, and skipped ones are marked. Pictures go to the folder figures of the results
    folder.
    """
    wanted = common.picture_formats(formats)
    from mlpiht_cli.figures import FIGURES, Look, check_kinds, save_kind
    from mlpiht_cli.figures.read import figure_tables
    from mlpiht_cli.system.files import check_writable
    from mlpiht_cli.system.lazy import kept_for_good

    look = Look(paper=style == "paper", annotate=annotate, partial=partial)
    tables = figure_tables(source, profile, out)
    folder = out / "figures"
    check_writable(folder)
    kinds = {kind for data in tables for kind in data.spec.kinds}
    check_kinds(kinds)
    if kinds & FIGURES.keys():
        with kept_for_good():
            import matplotlib.figure  # noqa: F401
    filled = [data for data in tables if any(panel.rows for panel in data.panels)] or tables
    for data in tables:
        if data not in filled:
            click.echo(f"{data.name}: none of its cells has a result yet; not drawn", err=True)
    paths = [
        path
        for data in filled
        for kind in data.spec.kinds
        for path in save_kind(kind, data, look, folder / data.name, wanted)
    ]
    panels = {panel.name: panel for data in tables for panel in data.panels}.values()
    total = sum(panel.total for panel in panels)
    missing = total - sum(len(panel.rows) for panel in panels)
    if missing:
        shown = "left out of the means" if partial else "hatched, or left out of curves"
        click.echo(f"{missing} of {total} cells have no result yet: {shown}", err=True)
    if as_json:
        common.echo_json({"files": [str(path) for path in paths], "cells": total, "missing": missing})
    else:
        for path in paths:
            click.echo(str(path))
