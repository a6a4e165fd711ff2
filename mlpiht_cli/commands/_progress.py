"""One aggregated progress bar on a terminal; elsewhere one line a minute."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import TracebackType

import click

from mlpiht_cli.commands._stop import say_how_to_go_on
from mlpiht_cli.rows import Row

SECONDS_PER_LINE = 60.0


class Progress:
    """Counts rows as they come; shows ok, failed and skipped cells and the time left on stderr."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total, self._counts, self._bar = total, Counter[str](), None
        self._lines = not quiet and not sys.stderr.isatty()
        self._start = self._last = time.monotonic()
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="cell", dynamic_ncols=True, smoothing=0.05)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is not None and issubclass(kind, KeyboardInterrupt | OSError):
            say_how_to_go_on("Ctrl-C" if issubclass(kind, KeyboardInterrupt) else "an error")

    def __call__(self, row: Row) -> None:
        """Count one row; anything that is not well is said at once."""
        self._counts[row.status] += 1
        if row.status not in ("ok", "skipped"):
            self._say(f"{row.status}: {row.method} {row.panel} m={row.m} s={row.s} seed={row.seed}: {row.reason}")
        summary = " ".join(f"{count} {status}" for status, count in sorted(self._counts.items()))
        if self._bar is not None:
            self._bar.set_postfix_str(summary, refresh=False)
            self._bar.update()
        elif self._lines and time.monotonic() - self._last > SECONDS_PER_LINE:
            self._last = time.monotonic()
            done = sum(self._counts.values())
            left = (self._last - self._start) / done * (self._total - done)
            click.echo(f"{done}/{self._total} cells ({summary}), about {left / 60:.0f} min left", err=True)

    def _say(self, text: str) -> None:
        if self._bar is None:
            click.echo(text, err=True)
        else:
            self._bar.write(text, file=sys.stderr)
