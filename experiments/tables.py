"""Public tables of task ``table``: export them as CSV files, and write the results of spec ``tables`` into a page.

Run as ``python -m experiments.tables export [NAME ...]`` (a sweep needs no export: the task makes a missing table) or
``python -m experiments.tables page`` after `results/tables.csv` has changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mlpiht_cli.errors import InputError, did_you_mean
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
    rows, spec = pd.read_csv(RESULTS), load_spec(find_spec("tables"))
    titles = {panel.name: panel.title or panel.name for panel in spec.panels}
    lines = []
    for s in sorted(rows["s"].unique()):
        own = rows[rows["s"] == s]
        methods = [one.shown for one in spec.methods if one.shown in set(own["method"])]
        lines += [f"**Budget s = {s}**", "", f"| table | {' | '.join(methods)} |", f"| --- |{' --- |' * len(methods)}"]
        for name, title in titles.items():
            cells = [_cell(own[(own["panel"] == name) & (own["method"] == method)]) for method in methods]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame) -> str:
    done = rows[rows["status"] == "ok"]
    if done.empty:
        return "-"
    weights = "" if done["nnz"].isna().any() else f" ({done['nnz'].mean():.3g})"
    return f"{done['value'].mean():.3f}{weights}"


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
