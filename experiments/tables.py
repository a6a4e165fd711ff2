"""Write the public tables of task ``table`` as CSV files to the user's cache folder; see docs/experiments.md.

Run as ``python -m experiments.tables export [NAME ...]``. A sweep needs no export: the task makes a missing table.
"""

from __future__ import annotations

import argparse
import sys

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.tasks.table_sources import SOURCES
from mlpiht_cli.tasks.tables import write_table


def main() -> int:
    """Write the tables, and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(required=True)
    export = actions.add_parser("export", help="write tables as CSV")
    export.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    try:
        for name in parser.parse_args().names or SOURCES:
            if name not in SOURCES:
                raise InputError(f"unknown table '{name}'{did_you_mean(name, SOURCES)}")
            sys.stdout.write(f"{write_table(name)}\n")
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
