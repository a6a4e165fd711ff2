"""Files that can be removed from a results folder: litter of killed writers, and chosen records; never a table."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store

OLD = 600.0
"""Seconds after which every temporary file is litter."""
_TEMPORARY = re.compile(r"\..+\.(?P<pid>[0-9]+)\.[0-9a-f]{32}\.tmp|\.probe\.[0-9a-f]{32}")

What = Literal["failed", "stale", "all"]


@dataclass(frozen=True)
class Scope:
    """The records of the specs to clean.

    Attributes
    ----------
    keys
        Keys of the current cells of the specs, of all profiles.
    specs
        Names of the specs; rows of other specs stay.
    whole
        Whether the user named no spec: then ``failed`` and ``all`` mean records of the whole folder.
    """

    keys: frozenset[str]
    specs: frozenset[str]
    whole: bool


@dataclass
class Findings:
    """Files to remove, and counts of the records of unknown specs, which stay."""

    records: list[Path] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    litter: list[Path] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Number of records and of their logs."""
        return {"records": len(self.records), "logs": len(self.logs)}

    @property
    def text(self) -> str:
        """The counts in words."""
        return ", ".join(f"{number} {name}" for name, number in self.counts.items())

    @property
    def paths(self) -> list[Path]:
        """All files to remove."""
        return [*self.records, *self.logs, *self.litter]


def look(store: Store, what: What | None, scope: Scope) -> Findings:
    """Find the files to remove; nothing is removed."""
    found = Findings(litter=[path for path in _files(store.root) if _litter(path)])
    if what is None:
        return found
    chosen = {"failed": _failed, "stale": _stale, "all": _any}[what]
    for path, row in store.every():
        if chosen(path, row, scope):
            found.records.append(path)
        elif what == "stale" and row is not None and row.spec not in scope.specs and scope.whole:
            found.kept[row.spec] = found.kept.get(row.spec, 0) + 1
    gone = {(path.name.partition(".")[0], path.name.split(".")[1]) for path in found.records}
    logs = (store.root / ".records" / "logs").glob("*.log")
    found.logs = [path for path in logs if tuple(path.name.split(".")[:2]) in gone]
    return found


def remove(paths: Iterable[Path]) -> int:
    """Remove files and count them; a file that no longer exists does not count."""
    count = 0
    for path in paths:
        try:
            path.unlink()
            count += 1
        except FileNotFoundError:
            continue
    return count


def _mine(path: Path, row: Row | None, scope: Scope) -> bool:
    """Whether a record is of the specs in scope: by its cell, or by the spec in its row."""
    return path.name.partition(".")[0] in scope.keys or (row is not None and row.spec in scope.specs)


def _failed(path: Path, row: Row | None, scope: Scope) -> bool:
    return row is not None and row.status in ("failed", "timeout") and (scope.whole or _mine(path, row, scope))


def _stale(path: Path, row: Row | None, scope: Scope) -> bool:
    """Whether a record is of no current cell, or damaged; records of specs out of scope are not stale."""
    if row is None:
        return scope.whole or _mine(path, row, scope)
    return row.cell not in scope.keys and row.spec in scope.specs


def _any(path: Path, row: Row | None, scope: Scope) -> bool:
    return scope.whole or _mine(path, row, scope)


def _files(root: Path) -> list[Path]:
    """Files in the folder and in its records and figures, where temporary files can be."""
    folders = [root, *(path for name in (".records", "figures") for path in _folders(root / name))]
    return [path for folder in folders if folder.is_dir() for path in folder.glob(".*") if path.is_file()]


def _folders(top: Path) -> list[Path]:
    return [top, *(path for path in top.glob("*") if path.is_dir())]


def _litter(path: Path) -> bool:
    """Whether a file is one of our temporary files, and old or of a process of this machine that has ended."""
    match = _TEMPORARY.fullmatch(path.name)
    if match is None:
        return False
    pid = match["pid"]
    if pid and f".{socket.gethostname()}.{pid}." in path.name and not psutil.pid_exists(int(pid)):
        return True
    try:
        return time.time() - path.stat().st_mtime > OLD
    except FileNotFoundError:
        return False
