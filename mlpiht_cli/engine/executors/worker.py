"""What a worker process of a pool does: one job at a time, watched, on a bench that it keeps."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from mlpiht_cli.engine.executors.work import Bench, Site, Work
from mlpiht_cli.records.rows import Row

HUNG, CRASHED = "Timeout (", "Fatal Python error: "
"""What the log of a hung and of a crashed job begins with: faulthandler's words."""


@lru_cache(maxsize=1)
def _bench(site: Site) -> tuple[Bench, threading.Lock]:
    logging.getLogger("mlpiht").setLevel(logging.ERROR)  # the sweep itself has given the warnings about data
    return Bench(site), threading.Lock()


def attend(works: Sequence[Work], site: Site) -> tuple[list[Row], str]:
    """Do works one after the other, up to the first that cannot be done or recorded.

    Returns
    -------
    tuple
        Rows, which are recorded, and what went wrong in the work after them; empty if nothing did.
    """
    bench, lock = _bench(site)
    rows: list[Row] = []
    with lock, _variables(site):
        try:
            for work in works:
                for row in _done(work, bench, site):
                    rows.append(row)  # one by one: those before a fault are kept
        except Exception as error:
            return rows, f"{type(error).__name__}: {error}"
    return rows, ""


@contextmanager
def _variables(site: Site) -> Iterator[None]:
    """Environment variables of the sweep, as far as a cluster's worker has none of its own."""
    missing = {name: value for name, value in site.variables if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _done(work: Work, bench: Bench, site: Site) -> Iterator[Row]:
    """Rows of a work as they come.

    The job's log, named after its first cell, exists from now on until it ends well: a worker that dies leaves it.
    """
    with _watched(work.log(bench.store), site) as heartbeat:
        for row in bench.perform(work):
            heartbeat()
            yield row


@contextmanager
def _watched(path: Path, site: Site) -> Iterator[Callable[[], None]]:
    """Keep a log while a job runs, and end this process when a cell takes too long.

    The watch is a thread in C that needs no lock of Python's, so nothing that a cell does can hold it up; it writes
    where the cell hangs, and the process ends at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+", encoding="utf-8") as log:

        def heartbeat() -> None:
            if site.cell_timeout is not None:
                faulthandler.dump_traceback_later(site.cell_timeout, exit=True, file=log)

        faulthandler.enable(file=log)
        heartbeat()
        try:
            yield heartbeat
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
    if not path.stat().st_size:  # it holds the traceback of a cell that failed, if one did
        path.unlink()
