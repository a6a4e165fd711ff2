"""Plot and check the existing tables, and list the missing cells; no cell is run.

Run it as ``python experiments/show.py SPEC... [--profile paper]`` from the repository, or as
`make all-figures PROFILE=paper`. If the profile has no table, the table of the laptop profile is shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlpiht_cli import plan
from mlpiht_cli.analysis.tables import find_table, read_results
from mlpiht_cli.cli import main as mlpiht
from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.find import find_spec

RESULTS = Path("results")
FALLBACK = "laptop"


def show(name: str, profile: str) -> int:
    """Draw and check one spec by its existing table.

    Returns 2 if this fails, else 0, even if claims do not hold.

    Raises
    ------
    InputError
        There is no such spec, or its table cannot be read.
    """
    experiment = plan.load(find_spec(name))
    spec = experiment.spec
    shown = next((one for one in (profile, FALLBACK) if find_table(spec, one, RESULTS) is not None), None)
    if shown is None:
        print(f"{name}: no {profile} table yet, and no {FALLBACK} table: nothing to show", flush=True)
        return 0
    if shown != profile:
        print(f"{name}: no {profile} table yet; this is the {shown} profile", flush=True)
    _, rows = read_results(spec, shown, RESULTS, spec.name)
    seeds = ["--partial"] if len(rows) < len(experiment.cells(shown)) else []
    commands = [
        ["plot", name, "--profile", shown, "--format", "png", *seeds],
        ["check", name, "--profile", shown],
        ["status", name, "--profile", profile, "--left", "--why"],
    ]
    return 2 if any(mlpiht(words) not in (0, 1) for words in commands) else 0


def main(args: Sequence[str] | None = None) -> int:
    """Show every spec, even after a failure; return the worst exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="+")
    parser.add_argument("--profile", default="paper")
    options = parser.parse_args(args)
    codes = []
    for name in options.specs:
        try:
            codes.append(show(name, options.profile))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            codes.append(2)
    return max(codes)


if __name__ == "__main__":
    raise SystemExit(main())
