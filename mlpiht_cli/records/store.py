"""Records on disk: one small JSON file per cell and attempt, and the CSV derived from them.

A record is written under a temporary name, synced and renamed, so that it is whole or absent. Any number of processes
may write without locks.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mlpiht_cli.records.rows import DONE, Brief, Row, is_empty
from mlpiht_cli.records.table import PROFILES, read_csv, table_name, to_csv
from mlpiht_cli.system.files import read_bytes, write_atomic
from mlpiht_cli.system.memory import collector_paused

log = logging.getLogger("mlpiht")
_R = TypeVar("_R", Row, Brief)


class Store:
    """The records and tables of a results folder.

    Parameters
    ----------
    root
        The results folder; records live in ``root/.records``, tables in ``root/<name>.csv``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._damaged: dict[str, list[Path]] = {}

    def table(self, spec: str, profile: str) -> Path:
        """The CSV of a spec."""
        return self.root / table_name(spec, profile)

    def write(self, row: Row) -> None:
        """Add a record; earlier ones stay, and so does one of the same attempt by another writer."""
        text = row.model_dump_json(by_alias=True, indent=1)
        name = f"{row.cell}.{row.attempt:04d}.{uuid.uuid4().hex[:8]}.json"
        write_atomic(self._folder(row.cell) / name, text.encode())
        for path in self._damaged.pop(row.cell, ()):
            path.unlink(missing_ok=True)  # its cell has a new record

    def log(self, cell: str, attempt: int) -> Path:
        """Path of the log of an attempt at a cell; the file may not exist."""
        return self.root / ".records" / "logs" / f"{cell}.{attempt:04d}.log"

    def write_log(self, row: Row, text: str) -> None:
        """Write the details of a failure."""
        write_atomic(self.log(row.cell, row.attempt), text.encode())

    def records(self, keys: Iterable[str]) -> dict[str, Row]:
        """Newest readable record of each key that has one; a warning names each damaged record."""
        return self._records(keys, Row)

    def _records(self, keys: Iterable[str], kind: type[_R]) -> dict[str, _R]:
        wanted = set(keys)
        newest: dict[str, _R] = {}
        with collector_paused():
            for prefix in sorted({key[:2] for key in wanted}):
                folder, found = str(self._folder(prefix)), dict[str, list[str]]()
                for name in _names(folder):
                    key = name.partition(".")[0]
                    if key in wanted:
                        found.setdefault(key, []).append(name)
                for key, names in found.items():
                    row = self._newest(kind, folder, names)
                    if row is not None:
                        newest[key] = row
        return newest

    def every(self, without: Collection[str] = ()) -> Iterator[tuple[Path, Row | None]]:
        """Every record file except those of some keys, with its row, or None if it is damaged."""
        for path in sorted((self.root / ".records").glob("*/*.json")):
            key = path.name.partition(".")[0]
            if key in without:
                continue
            try:
                row = Row.model_validate_json(read_bytes(str(path)))
                yield path, row if row.cell == key and not is_empty(row) else None
            except FileNotFoundError:
                continue  # another process removed it
            except (ValidationError, OSError):
                yield path, None

    def known(self, keys: Iterable[str], tabled: Iterable[Row]) -> dict[str, Row]:
        """Best row of each key, from the records and rows of :meth:`tabled` (a committed CSV counts).

        The latest attempt is the best; of equal ones a final one, then the record. A cell whose only record is
        damaged has no row here, even if a table holds one: it is computed again, which replaces the record.
        """
        return self._known(keys, tabled, Row)

    def brief(self, keys: Iterable[str], tabled: Iterable[Row]) -> dict[str, Brief]:
        """As :meth:`known`, in brief."""
        rows = [Brief.model_validate(row, from_attributes=True) for row in tabled]
        return self._known(keys, rows, Brief)

    def _known(self, keys: Iterable[str], tabled: Iterable[_R], kind: type[_R]) -> dict[str, _R]:
        wanted = set(keys)
        records = self._records(wanted, kind)
        usable = wanted - (set(self._damaged) - set(records))
        candidates: list[_R] = [row for row in tabled if row.cell in usable]
        candidates.extend(records.values())
        best: dict[str, _R] = {}
        for row in candidates:
            if row.cell not in best or _rank(row) >= _rank(best[row.cell]):
                best[row.cell] = row
        return best

    def tabled(self, specs: Iterable[str]) -> list[Row]:
        """Rows of the tables of ``specs``, of all their profiles."""
        tables = [self.root / table_name(spec, profile) for spec in sorted(set(specs)) for profile in PROFILES]
        out = []
        for path in filter(Path.exists, tables):
            rows = read_csv(path)
            twice = len(rows) - len({(row.panel, row.cell) for row in rows})
            if twice:
                log.warning("%s: %d row(s) are there twice; the last one counts", path, twice)
            out += rows
        return out

    def write_table(self, path: Path, rows: Iterable[Row], current: Collection[str] = ()) -> None:
        """Write a table of these rows; a row of the old table that is not among them becomes a record first.

        Such a row of a ``current`` cell comes from another sweep at the same time: its record exists, and the caller
        reads the records again.
        """
        kept = list(rows)
        if path.exists():
            keys = {row.cell for row in kept}
            dropped = [row for row in read_csv(path) if row.cell not in keys]
            recorded = self.records(row.cell for row in dropped)
            for row in dropped:
                if row.cell not in recorded:
                    self.write(row)
            foreign = sum(row.cell not in current for row in dropped)
            if foreign:
                log.warning(
                    "%s: %d row(s) made with other settings left the table; their records are kept in %s",
                    path,
                    foreign,
                    self.root / ".records",
                )
        write_atomic(path, to_csv(kept).encode())

    def _folder(self, key: str) -> Path:
        return self.root / ".records" / key[:2]

    def _newest(self, kind: type[_R], folder: str, names: list[str]) -> _R | None:
        """Row of the newest readable record of a cell; names, not paths: a Path costs as much as reading the file."""
        key = names[0].partition(".")[0]
        for name in sorted(names, reverse=True):
            try:
                row = kind.model_validate_json(read_bytes(f"{folder}/{name}"))
                if row.cell == key and not is_empty(row):
                    return row
                reason = "it belongs to another cell" if row.cell != key else "it is finished and has no value"
            except ValidationError:
                reason = "it is truncated or damaged"
            except OSError as error:
                reason = error.strerror or "it cannot be read"
            path = Path(folder, name)
            if path not in self._damaged.setdefault(key, []):
                self._damaged[key].append(path)
                log.warning("record %s is left out: %s; the cell is computed again", path, reason)
        return None


def _names(folder: str) -> list[str]:
    """Names of the records in a folder; none if there is no such folder."""
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _rank(row: Row | Brief) -> tuple[int, bool]:
    return row.attempt, row.status in DONE
