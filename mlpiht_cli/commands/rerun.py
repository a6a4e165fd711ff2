"""``mlpiht rerun``: run the cells of a table's rows again, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from mlpiht_cli.records.rows import Row


@click.command(
    "rerun",
    epilog=common.examples(
        "mlpiht rerun figure1 --only 'm=10,s=20,method=iht'",
        "mlpiht rerun results/figure3.csv --only 'method=imp,m<=5' --limit 3 --mode exact",
    ),
)
@click.argument("source", metavar="SPEC|CSV")
@common.profile_option
@click.option("--only", help="Rows to run again, e.g. 'panel=depth1,method=iht,m=10,seed=0'.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most rows to run again.")
@click.option(
    "--mode", type=click.Choice(["close", "exact", "stat"]), default="close", show_default=True, help="As in check."
)
@common.out_option
@common.device_option
@common.offline_option
@common.json_option
def command(
    source: str, profile: str, only: str | None, limit: int, mode: str, out: Path, device: str, as_json: bool
) -> int:
    """Run the cells of a table's rows again with the rows' own settings, and compare; the table does not change.

    Mode close allows a difference of 0.5 dB (two PSNRs of 100 dB or more are close), 0.005 of accuracy, or 0.001 times
    the value of any other metric; exact 1e-9 times the value; stat compares means over the seeds, as check does. The
    exit code is 1 if a value differs.
    """
    from mlpiht_cli.checks.reference import compare_rows
    from mlpiht_cli.checks.source import chosen_rows, read_rows
    from mlpiht_cli.checks.text import comparison_text
    from mlpiht_cli.engine.rerun import cell_of, rerun
    from mlpiht_cli.engine.runner import Runner, pick_device
    from mlpiht_cli.records.rows import DONE

    path, rows = read_rows(source, profile, out)
    # A cell of several panels runs once.
    chosen = {row.cell: row for row in chosen_rows(rows, only) if row.status in DONE}
    if not chosen:
        raise InputError(f"{path}: no finished row fits --only {only}" if only else f"{path}: no finished row")
    wanted, runner = list(chosen.values())[:limit], Runner(pick_device(device))
    cells = [cell_of(row) for row in wanted]
    for task in {cell.task for cell in cells}:
        task.check_data()  # before the first fit
    made = []
    for row, cell in zip(wanted, cells, strict=True):
        made.append(rerun(row, cell, runner))
        click.echo(_comparison_line(made[-1], row), err=True)
    found = compare_rows(made, wanted, mode)  # type: ignore[arg-type]
    if as_json:
        rest = len(chosen) - len(wanted)
        common.echo_json({"table": str(path), "left_out": rest, **found.json, "rows": [row.flat() for row in made]})
    else:
        more = f" ({len(chosen)} fit, see --limit)" if len(chosen) > len(wanted) else ""
        click.echo("\n".join([f"{len(wanted)} rows of {path} made again{more}", *comparison_text(found)]))
    return 0 if found.ok else 1


def _comparison_line(made: Row, row: Row) -> str:
    """One line: the row, its new value and the value in the table."""
    now, then = (one.status if one.value is None else f"{one.value:.6g}" for one in (made, row))
    other = "" if made.cell == row.cell else "; another version of task or method, or other data files"
    if made.flat()["value"] != row.flat()["value"] and made.blas != row.blas:
        other += f"; other digits, made with {made.blas}; the table's BLAS: {row.blas or 'not named'}"
    return f"{row.panel} {row.method} m={row.m} s={row.s} seed={row.seed}: {now}, in the table {then}{other}".strip()
