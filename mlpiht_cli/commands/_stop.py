"""Reasons for a sweep to stop early: Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 or the end of its time."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

import click

from mlpiht_cli.system import signals


class Stop:
    """Called before each job; returns true once the sweep must start no further job.

    Within the context Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 stop the sweep; a second Ctrl-C interrupts at once. Both a
    signal and the end of the time are told at once, with what is ``under_way`` then.

    Parameters
    ----------
    max_time
        Seconds from now after which no job is started; None for no limit.
    """

    def __init__(self, max_time: float | None) -> None:
        self.why = ""
        self.code = 0
        self.under_way: Callable[[], str] = str
        """What the sweep waits for and how long, as text; empty if it waits for nothing."""
        self.late = 0.0
        """Seconds between the end of the time and the end of the sweep."""
        self._deadline = None if max_time is None else time.monotonic() + max_time
        self._before: dict[int, object] = {}
        self._timer: threading.Timer | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        if not self.why and self._deadline is not None and time.monotonic() >= self._deadline:
            self.why, self.code = "--max-time", signals.STOPPED
        return bool(self.why)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            numbers = signals.numbers_of(signals.POLITE)
            self._before = {number: signal.signal(number, self._on_signal) for number in numbers}
        if self._deadline is not None:
            self._timer = threading.Timer(max(self._deadline - time.monotonic(), 0), self._on_deadline)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def settle(self, left: int) -> None:
        """Print how to resume if cells are left; if none is left, the sweep counts as not stopped."""
        if self._deadline is not None and self.why in ("", "--max-time"):
            self.late = round(max(time.monotonic() - self._deadline, 0.0), 3)
        if self.why and left:
            late = f", {self.late:.0f} s after its end" if self.late >= 1 else ""
            click.echo(signals.how_to_go_on(f"{self.why}{late}, {left} cells left"), err=True)
        else:
            self.why, self.code = "", 0

    def _on_deadline(self) -> None:
        if self() and self.why == "--max-time" and (text := self.under_way()):
            signals.tell(f"--max-time is over: no new cells; {text}; Ctrl-C stops at once")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        asked = number == signal.SIGINT
        if self.why and asked and self.under_way is str:  # half started workers end with this process, not in order
            signals.end_at_once(number)
        if self.why:
            return signals.interrupt(number, frame) if asked else None
        self.why, self.code = ("Ctrl-C", signals.INTERRUPTED) if asked else (_name(number), signals.STOPPED)
        text = "those under way are finished"
        with contextlib.suppress(Exception):  # the signal came in the midst of something
            text = self.under_way() or text
        signals.tell(f"{self.why}: no new cells; {text}{'; Ctrl-C again stops at once' if asked else ''}")


def _name(number: int) -> str:
    return signal.Signals(number).name
