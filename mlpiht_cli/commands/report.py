"""``mlpiht report``: write the results of specs into one HTML file."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mlpiht_cli.commands import _common as common


@click.command(
    "report",
    epilog=common.examples(
        "mlpiht report figure1 --profile smoke", "mlpiht report figure1 table1 --partial --out paper.html"
    ),
)
@click.argument("sources", metavar="SPEC|CSV...", nargs=-1, required=True)
@common.profile_option
@click.option("--partial", is_flag=True, help="Average over the seeds that have results, where some are missing.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Results folder, which holds the tables.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. [default: report.html in the results folder]",
)
@common.json_option
def command(
    sources: tuple[str, ...], profile: str, partial: bool, results: Path, out: Path | None, as_json: bool
) -> None:
    """Write one HTML file with the claims, figures and tables of each SPEC or CSV.

    The file needs no network. It shows verdicts, the pictures that `plot` draws, tables that sort, what each row was
    made with, and the commands that make rows and file again. The same tables give the same bytes.
    """
    from mlpiht_cli.figures import Look
    from mlpiht_cli.report.page import Origin, page
    from mlpiht_cli.report.section import read_section
    from mlpiht_cli.system.files import check_writable, write_atomic

    named = list(dict.fromkeys(sources))
    file = results / "report.html" if out is None else out
    sections = [read_section(source, profile, results) for source in named]
    common.check_not_read("--out", file, *(section.table for section in sections), *named)
    check_writable(file.absolute().parent, "--out FILE")
    options = [
        *(["--results", str(results)] if results != Path("results") else []),
        *(["--partial"] if partial else []),
    ]
    words = ["mlpiht", "report", *named, "--profile", profile, *options]
    content = page(sections, Origin(shlex.join(words), results), Look(partial=partial))
    write_atomic(file, content)
    for section in sections:
        if missing := section.missing.total():
            shown = "left out of the means" if partial else "hatched, or left out of curves"
            click.echo(f"{section.source}: {missing} of {section.total} cells have no result yet: {shown}", err=True)
    if as_json:
        common.echo_json({"file": str(file), "bytes": len(content), "specs": [section.facts for section in sections]})
    else:
        click.echo(str(file))
