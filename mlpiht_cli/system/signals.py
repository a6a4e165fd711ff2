"""Signals that end a process, heard from its first lines on: long imports take a second or two.

Nothing here loads anything but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

INTERRUPTED, STOPPED = 130, 75
POLITE = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Signals that a sweep answers by finishing what runs; SIGHUP is sent by a terminal that closes."""
_COLOURS = ("auto", "always", "never")


class Ended(BaseException):
    """SIGTERM or SIGHUP asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class _Watch:
    """The signals that this process hears before its command has handlers of its own."""

    def __init__(self) -> None:
        self.words: Sequence[str] = ()
        self.numbers: list[int] = []
        self.ending = False


_watch = _Watch()


def is_sweep(words: Sequence[str]) -> bool:
    """Whether a command line, without the program's name, calls a sweep."""
    return next((word for word in words if not word.startswith("-") and word not in _COLOURS), "") == "sweep"


def numbers_of(names: Sequence[str]) -> list[int]:
    """Numbers of the signals that this system has, without a SIGHUP that ``nohup`` has taken away."""
    found: list[int] = [getattr(signal, name) for name in names if hasattr(signal, name)]
    hangup = getattr(signal, "SIGHUP", None)
    return [number for number in found if number != hangup or signal.getsignal(number) != signal.SIG_IGN]


def watch(words: Sequence[str]) -> None:
    """End this process in its documented way from now on, for a command line without the program's name.

    A signal that comes while a module is imported ends the process at once: what raises there may be swallowed, or
    reported as a module that cannot be imported. At another time it raises :class:`Ended`, or ``KeyboardInterrupt``.
    A signal that the process was started to ignore, as shells do in the background, stays ignored; but a sweep hears
    Ctrl-C.
    """
    if _watch.numbers:
        return
    _watch.words = list(words)
    sweeping = is_sweep(words)
    for number in numbers_of(POLITE if sweeping else POLITE[:3]):
        if signal.getsignal(number) != signal.SIG_IGN or (sweeping and number == signal.SIGINT):
            signal.signal(number, _on_signal)
            _watch.numbers.append(number)


def settle() -> None:
    """Ignore the watched signals: the command has its result, and nothing is left to stop."""
    for number in _watch.numbers:
        signal.signal(number, signal.SIG_IGN)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End the process in an orderly way if no module is being imported, and else at once."""
    if _watch.ending or _importing(frame):
        end_at_once(number)
    _watch.ending = bool(_watch.numbers)  # the next signal does not wait for the answer to this one
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Ended(number)


def end_at_once(number: int) -> NoReturn:
    """End the process with its message and exit code, without another step of what it was doing."""
    text, code = message(number, _watch.words)
    tell(text if is_sweep(_watch.words) else f"error: {text}")
    if "--json" in _watch.words:
        os.write(1, f"{json.dumps({'error': text, 'exit_code': code})}\n".encode())
    os._exit(code)


def message(number: int, words: Sequence[str]) -> tuple[str, int]:
    """One line on the end of a command by a signal, and its exit code."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    if is_sweep(words):
        return how_to_go_on(name), INTERRUPTED if number == signal.SIGINT else STOPPED
    return "interrupted" if number == signal.SIGINT else f"stopped by {name}", 128 + number


def how_to_go_on(why: str) -> str:
    """One line with the command that resumes a sweep; without --force, since cells that are done need not run again."""
    again = shlex.join(["mlpiht", *(word for word in sys.argv[1:] if word != "--force")])
    return f"stopped by {why}; every finished cell is recorded. To go on: {again}"


def tell(line: str) -> None:
    """Write a line to stderr, whose text layer the signal may have interrupted; a bar on a terminal keeps its line.

    A terminal that has hung up takes nothing: what is written to it from then on is dropped, and no error.
    """
    with contextlib.suppress(OSError):
        os.write(2, f"{chr(10) * os.isatty(2)}{line}\n".encode())
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _on_signal(number: int, frame: FrameType | None) -> None:
    interrupt(number, frame)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
