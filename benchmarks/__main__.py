"""``python -m benchmarks``: measure, write tables and draw figures."""

from __future__ import annotations

import os
from pathlib import Path

import click

PARTS = ("machine", "speed", "growth", "memory", "race", "sweeps", "peers", "report")


@click.command("benchmarks")
@click.argument("parts", nargs=-1, required=True, type=click.Choice([*PARTS, "all"]))
@click.option("--quick", is_flag=True, help="Tiny sizes: everything runs, and the numbers mean nothing.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Measurements by name, e.g. 'iht-*'; repeatable.")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Timed runs of each fit.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Seeds of PSNR and race.")
@click.option("--yardstick-seeds", type=click.IntRange(0), help="Seeds the yardstick runs to the end [default: own].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tables [default: results/benchmarks].")
@click.option("--page", type=click.Path(path_type=Path, exists=True), help="Where `report` puts its tables.")
def main(parts: tuple[str, ...], out: Path | None, page: Path | None, **size: object) -> None:
    """Measure PARTS: machine, speed, growth, memory, race, sweeps, peers, or all.

    Each measurement is written to OUT as soon as it is there. `report` measures nothing: it draws the figures again
    from the tables, and prints the Markdown (or puts it between the markers of --page).
    """
    if out is None and size["quick"]:
        raise click.UsageError("--quick needs --out DIR: its numbers are not to replace measured ones")
    # The yardstick uses NumPy, which reads its thread count from the environment at import. Torch has its own setting.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["VECLIB_MAXIMUM_THREADS"] = "1"

    from benchmarks import report
    from benchmarks.common import Plan
    from mlpiht_cli.errors import InputError

    plan, out = Plan(**size), out or Path("results/benchmarks")  # type: ignore[arg-type]  # click has checked the types
    wanted = dict.fromkeys(PARTS if "all" in parts else parts)
    for table in (table for part in wanted for table in report.PARTS.get(part, ())):
        rows = []
        for row in table.rows(plan):
            rows.append(row)
            report.write(out / f"{table.name}.csv", rows, keep=bool(plan.only))
            click.echo(f"{row['name']}  {row.get('status', 'ok')}", err=True)
        if rows:
            report.draw(table, out)
    if "report" in wanted:
        for table in (table for tables in report.PARTS.values() for table in tables):
            report.draw(table, out)
        text = report.markdown(out)
        click.echo(text)
        if page is not None:
            try:
                report.write_page(page, text)
            except InputError as error:
                raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
