"""Reasons for a sweep to stop early: Ctrl-C, SIGTERM, SIGUSR1 or the end of its time."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Self

import click

INTERRUPTED, STOPPED = 130, 75


class Stop:
    """Called before each job; returns true once the sweep must start no further job.

    Within the context Ctrl-C, SIGTERM and SIGUSR1 stop the sweep; a second Ctrl-C interrupts at once.
    """

    def __init__(self, max_time: float | None) -> None:
        self.why = ""
        self.code = 0
        self._deadline = None if max_time is None else time.monotonic() + max_time
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        """Whether to stop."""
        if not self.why and self._deadline is not None and time.monotonic() >= self._deadline:
            self.why, self.code = "--max-time", STOPPED
        return bool(self.why)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            names = ("SIGINT", "SIGTERM", "SIGUSR1")
            numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
            self._before = {number: signal.signal(number, self._on_signal) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def settle(self, left: int) -> None:
        """Print how to resume if cells are left; if none is left, the sweep counts as not stopped."""
        if self.why and left:
            say_how_to_go_on(f"{self.why}, {left} cells left")
        else:
            self.why, self.code = "", 0

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        asked = number == signal.SIGINT
        if self.why and asked:
            raise KeyboardInterrupt
        if not self.why:
            self.why, self.code = ("Ctrl-C", INTERRUPTED) if asked else (signal.Signals(number).name, STOPPED)
            more = "; Ctrl-C again stops at once" if asked else ""
            # The signal may have interrupted the text layer, so this writes to the descriptor.
            os.write(2, f"\n{self.why}: no new cells; those under way are finished{more}\n".encode())


def say_how_to_go_on(why: str) -> None:
    """Print the command that resumes the sweep."""
    # Without --force: cells that are done need not run again.
    again = shlex.join(["mlpiht", *(word for word in sys.argv[1:] if word != "--force")])
    click.echo(f"stopped by {why}; every finished cell is recorded. To go on: {again}", err=True)
