"""One line on the terminal that says what a command does at the moment."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

SECONDS_UNTIL_SHOWN = 2.0
SECONDS_PER_FRAME = 0.5


class StatusLine:
    """Shows ``text()`` and the time since the start on stderr, from :data:`SECONDS_UNTIL_SHOWN` to the context's end.

    A thread draws the line, so that it moves during a long step too. The line disappears at the end. Nothing is drawn
    where stderr is not a terminal.
    """

    def __init__(self, quiet: bool, text: Callable[[], str]) -> None:
        self._text = text
        self._ended = threading.Event()
        self._start = time.monotonic()
        shown = not quiet and sys.stderr.isatty()
        self._thread = threading.Thread(target=self._draw, daemon=True) if shown else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()

    def _draw(self) -> None:
        if self._ended.wait(SECONDS_UNTIL_SHOWN):
            return
        from tqdm import tqdm

        with tqdm(bar_format="{desc}", leave=False) as line:
            while True:
                line.set_description_str(f"{self._text()}, {tqdm.format_interval(time.monotonic() - self._start)}")
                if self._ended.wait(SECONDS_PER_FRAME):
                    return


class FitLine(StatusLine):
    """The status line of a fit, and the fit's callback."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet, self._last)
        self._event: tuple[int, float] | None = None

    def __call__(self, iteration: int, loss: float) -> None:
        """Keep the last iteration for the next frame."""
        self._event = iteration, loss

    def _last(self) -> str:
        event = self._event
        return "iteration {}, loss {:.4g}".format(*event) if event else "first iteration"


class CountLine(StatusLine):
    """The status line of work that is counted, and the callback that counts."""

    def __init__(self, quiet: bool, noun: str) -> None:
        super().__init__(quiet, self._last)
        self._noun, self._count = noun, (0, 0)

    def __call__(self, done: int, total: int) -> None:
        """Keep the count for the next frame."""
        self._count = done, total

    def _last(self) -> str:
        return "{} {} of {}".format(self._noun, *self._count)
