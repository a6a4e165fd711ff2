"""Tables of rows: their names, and CSV in and out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.records.rows import Row, is_empty
from mlpiht_cli.specs.wording import said
from mlpiht_cli.system.files import regular_size
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.system.reasons import reason

PROFILES = ("smoke", "laptop", "paper")
"""Sizes of an experiment; the paper profile is the whole spec."""


def table_name(spec: str, profile: str) -> str:
    """File name of a table: the paper profile has the plain name."""
    return f"{spec}.csv" if profile == "paper" else f"{spec}-{profile}.csv"


_JSON = frozenset({"params", "measures", "nnz_by_layer"})
COLUMNS: tuple[str, ...] = tuple(field.alias or name for name, field in Row.model_fields.items())
SORT_BY = ("panel", "method", "depth", "m", "s", "seed", "d", "n", "cell")


def sort_key(row: Row) -> tuple[Any, ...]:
    """Sort key that gives readable diffs of two tables."""
    return tuple(getattr(row, name) or 0 if name in ("n", "d") else getattr(row, name) for name in SORT_BY)


def to_csv(rows: Iterable[Row]) -> str:
    """Render rows as CSV, sorted."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=sort_key):
        writer.writerow({name: _cell_text(value) for name, value in row.flat().items()})
    return out.getvalue()


def _cell_text(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def read_csv(path: Path) -> list[Row]:
    """Read a table written by :func:`to_csv`.

    Raises
    ------
    InputError
        The file is no results table; the message names the line and its fault.
    """
    check_room(8 * regular_size(path), f"{path}: its rows")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames or "cell" not in reader.fieldnames:
                raise InputError(f"{path}: not a results table of mlpiht (no column 'cell')")
            check_names(reader.fieldnames, path)
            return [_parse(line, path, number) for number, line in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); check the file") from error


def check_names(names: Sequence[str], path: Path) -> None:
    """Raise an error for a header that names a column twice."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are called '{twice[:80]}'; rename or delete one")


def _check_header(names: Collection[str | None], path: Path) -> None:
    """Raise an error for an unknown or missing column; columns of later schemas may be missing."""
    for name in names:
        if name is not None and name not in COLUMNS:  # None holds fields beyond the header
            hint = did_you_mean(name, [one for one in COLUMNS if one not in names])
            raise InputError(f"{path}: unknown column '{name[:80]}'{hint}; rename or delete it")
    needed = [field.alias or name for name, field in Row.model_fields.items() if field.is_required()]
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path}: no column '{missing[0]}', which every row needs; take the table from a backup")


def _parse(line: dict[str, Any], path: Path, number: int) -> Row:
    try:
        if None in line:
            raise ValueError("has more values than the header has names")
        row = Row.model_validate({name: _from_text(name, text) for name, text in line.items() if text != ""})
        if is_empty(row):
            raise ValueError("value: a row that is ok needs a number, or a reason why its metric is undefined")
        return row
    except (ValidationError, ValueError) as error:
        _check_header(line.keys(), path)
        what = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            what = f"{'.'.join(map(str, first['loc']))}: {said(first)}"
        raise InputError(
            f"{path}: row {number}: {what}; correct it, or take the row out: the sweep computes it again"
        ) from error


def _from_text(name: str, text: Any) -> Any:
    """Value of a CSV field; params, measures and lists are JSON."""
    if not isinstance(text, str) or name not in _JSON:
        return text
    try:
        return json.loads(text)
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{name}: {reason(error)}") from error
