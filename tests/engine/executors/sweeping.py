"""What the tests of sweeps with workers share."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import psutil

Table = list[dict[str, str]]
PATIENCE = 60.0


def sets(**values: object) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"task.{name}={value}")]


def table(path: Path, *without: str) -> Table:
    """Rows of a table without what a run cannot repeat."""
    changing = {"wall_s", "cpu_s", "peak_rss_mb", "peak_cuda_mb", "started_utc", *without}
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in changing} for row in csv.DictReader(file)]


def wait_until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.005)


def records(out: str | Path) -> list[Path]:
    return list(Path(out, ".records").rglob("*.json"))


def family(pid: int) -> list[psutil.Process]:
    """Processes that a process has started."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers(pid: int) -> list[psutil.Process]:
    """Worker processes of a sweep; not the helper of multiprocessing that looks after its semaphores."""
    found = []
    for process in family(pid):
        try:
            found += [process] if any("spawn_main" in word for word in process.cmdline()) else []
        except psutil.NoSuchProcess:
            continue
    return found


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)
