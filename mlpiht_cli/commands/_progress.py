"""Progress of a sweep: one bar on a terminal, elsewhere one line a minute."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType

import click

from mlpiht_cli.engine.cost import duration_text
from mlpiht_cli.records.rows import Row
from mlpiht_cli.system.signals import how_to_go_on

SECONDS_PER_LINE = 60.0


class Progress:
    """Counts rows by status, and shows the counts and the time left on stderr.

    ``shares`` are the expected seconds of each cell, for the time left; without them all cells count alike.
    """

    def __init__(self, total: int, quiet: bool, shares: Mapping[str, float] | None = None) -> None:
        self._total, self._counts, self._bar = total, Counter[str](), None
        self._shares, self._spent = shares or {}, 0.0
        self._lines = not quiet and not sys.stderr.isatty()
        self._start = self._last = time.monotonic()
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            form = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells [{elapsed}{postfix}]"
            self._bar = tqdm(total=total, unit="cell", dynamic_ncols=True, bar_format=form)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is not None and issubclass(kind, OSError):
            click.echo(how_to_go_on("an error"), err=True)

    def __call__(self, row: Row) -> None:
        """Count one row; a failed or diverged one is printed at once."""
        self._counts[row.status] += 1
        self._spent += self._shares.get(row.cell, 0.0)
        if row.status not in ("ok", "skipped"):
            self._say(f"{row.status}: {row.method} {row.panel} m={row.m} s={row.s} seed={row.seed}: {row.reason}")
        summary = " ".join(f"{count} {status}" for status, count in sorted(self._counts.items()))
        if self._bar is not None:
            self._bar.set_postfix_str(f"{summary}, {duration_text(self._left())} left", refresh=False)
            self._bar.update()
        elif self._lines and time.monotonic() - self._last > SECONDS_PER_LINE:
            self._last = time.monotonic()
            done = sum(self._counts.values())
            click.echo(f"{done}/{self._total} cells ({summary}), {duration_text(self._left())} left", err=True)

    def _left(self) -> float:
        """Seconds left: the seconds so far, scaled by the expected share of the rest."""
        done, whole = sum(self._counts.values()), sum(self._shares.values())
        share = self._spent / whole if self._spent else done / self._total
        return (time.monotonic() - self._start) * max(1 - share, 0.0) / share

    def _say(self, text: str) -> None:
        if self._bar is None:
            click.echo(text, err=True)
        else:
            self._bar.write(text, file=sys.stderr)
