"""Public tables of task ``table``: export them as CSV files, and write the results of spec ``tables`` into a page.

Run as ``python -m experiments.tables export [NAME ...]`` (a sweep needs no export: the task makes a missing table) or
``python -m experiments.tables page`` after `results/tables.csv` has changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from mlpiht_cli.analysis.tables import placed
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.system.files import write_atomic
from mlpiht_cli.tasks.table_sources import SOURCES
from mlpiht_cli.tasks.tables import write_table

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS = ROOT / "docs" / "tables.md", ROOT / "results" / "tables.csv"
BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"


def export(names: Sequence[str]) -> None:
    """Write tables to the user's cache folder, and print their paths."""
    for name in names or SOURCES:
        if name not in SOURCES:
            raise InputError(f"unknown table '{name}'{did_you_mean(name, SOURCES)}")
        sys.stdout.write(f"{write_table(name)}\n")


def results() -> str:
    """Return Markdown tables, one for each budget: mean score and mean number of weights of each method and table."""
    spec = load_spec(find_spec("tables"))
    found = placed(expand(spec, "paper"), read_csv(RESULTS))
    lines = []
    for s in sorted({key.s for key in found}):
        methods = [one.shown for one in spec.methods]
        lines += [f"**Budget s = {s}**", "", f"| table | {' | '.join(methods)} |", f"| --- |{' --- |' * len(methods)}"]
        for panel in spec.panels:
            cells = [
                _cell([row for key, row in found.items() if (key.panel, key.label, key.s) == (panel.name, method, s)])
                for method in methods
            ]
            lines.append(f"| {panel.title or panel.name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(rows: Sequence[Row]) -> str:
    values = [row.value for row in rows if row.value is not None]
    counts = [row.nnz for row in rows if row.nnz is not None]
    if not values:
        return "-"
    return f"{mean(values):.3f}{f' ({mean(counts):.3g})' if counts else ''}"


def page() -> str:
    """Return the text of the page with today's results between its marks."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{head}{BEGIN}\n\n{results()}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(required=True, dest="action")
    actions.add_parser("export", help="write tables as CSV").add_argument("names", nargs="*", metavar="NAME")
    actions.add_parser("page", help="write the results into docs/tables.md")
    given = parser.parse_args()
    try:
        if given.action == "page":
            write_atomic(PAGE, page().encode())
        else:
            export(given.names)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
