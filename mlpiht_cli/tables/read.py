"""A file of a table, or standard input, to a data frame: CSV, TSV, semicolons, these in gzip, Parquet and NPZ."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.system.files import file_bytes
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.system.npz import NotAnArchive, unpack
from mlpiht_cli.system.reasons import reason
from mlpiht_cli.system.stdin import STANDARD_INPUT
from mlpiht_cli.tables.form import Form, Reading, check_drop, is_number
from mlpiht_cli.tables.parquet import read_parquet
from mlpiht_cli.tables.text import COPIES, MAX_COLUMNS, read_text

if TYPE_CHECKING:
    import pandas as pd

STDIN = "-"
_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
_CHUNK = 2**22
_OTHER_MARKS = {"|": "bars (|)", ":": "colons", " ": "spaces"}


@dataclass(frozen=True)
class Table:
    """Columns of a file.

    Attributes
    ----------
    frame
        Data rows; all columns that are not dropped, the target too.
    source
        Name of the file in messages.
    target
        Name of the target column; None if none is asked for.
    form
        The form in which a text file is written.
    width
        Number of columns in a text file without a header; 0 for other files.
    """

    frame: pd.DataFrame
    source: str
    target: str | None
    form: Form
    width: int = 0

    @property
    def features(self) -> pd.DataFrame:
        """All columns but the target."""
        return self.frame if self.target is None else self.frame.drop(columns=self.target)

    @property
    def labels(self) -> pd.Series[Any]:
        """The target column of a table that has one."""
        if self.target is None:
            raise ValueError("the table was read without a target")
        return self.frame[self.target]


def source_name(path: str) -> str:
    """Return the name of a file in messages."""
    return "standard input" if path == STDIN else path


def source_bytes(path: str) -> bytes:
    """Content of a file, or of standard input if the path is ``-``, which is read once.

    Raises
    ------
    InputError
        It cannot be read, is no regular file, or is larger than the free memory.
    """
    return STANDARD_INPUT.read() if path == STDIN else file_bytes(Path(path))


def read_table(path: str, reading: Reading) -> Table:
    """Read the columns of a table.

    The suffix ``.npz`` means NPZ, with a matrix ``x`` whose columns are ``x0``, ``x1``, ... Other files are told apart
    by their first bytes.

    Raises
    ------
    InputError
        The file is missing, unreadable, too large or ambiguous, a column is absent, or there are no rows.
    """
    source, form, width = source_name(path), reading.form, 0
    target = reading.target or (None if reading.only is not None else "y")
    if path.lower().endswith(".npz"):
        frame = _npz(Path(path), target)
        check_drop(frame.columns, source, reading)
    else:
        data = source_bytes(path)
        data = _unzipped(data, source) if data[:2] == _GZIP or path.lower().endswith(".gz") else data
        if data[:4] == _ZIP:
            raise InputError(f"{source}: is a zip archive or a workbook; save the table as CSV or Parquet")
        if data[:4] == _PARQUET or path.lower().endswith((".parquet", ".pq")):
            frame = read_parquet(data, source, reading)
        else:
            frame, form = read_text(data, source, reading)
            width = 0 if form.header else frame.shape[1]
            target = reading.target_among(list(frame.columns))
    return _chosen(Table(frame, source, target, form, width), reading)


def _chosen(table: Table, reading: Reading) -> Table:
    """Return the table without the columns to drop, after checks that it has rows, features and the target."""
    names, target = table.frame.columns, table.target
    if target in reading.drop:
        raise InputError(f"{table.source}: column '{target}' is the target and cannot be dropped")
    if target is not None and target not in names:
        hint = _other_mark(target, names) or did_you_mean(target, names)
        if table.form.header and names.size and all(is_number(name) for name in names):
            hint = (
                ": its first line is numbers; for a table without a header use the setting header=false (--no-header)"
            )
        raise InputError(f"{table.source}: no column '{target}' for the target{hint}")
    kept = [name for name in names if name not in {*reading.drop}]
    if not len(table.frame) or kept == [target] or not kept:
        raise InputError(f"{table.source}: holds no {'feature columns' if len(table.frame) else 'data rows'}")
    return Table(table.frame[kept], table.source, target, table.form, table.width)


def _other_mark(target: str, names: Iterable[str]) -> str:
    """Hint at a mark between values that is not read, in a table whose only column has all names in its own."""
    only = [*names]
    for mark, name in _OTHER_MARKS.items():
        if len(only) == 1 and target in (part.strip() for part in only[0].split(mark)):
            return f": its values are separated by {name}, which are not read; use commas, semicolons or tabs"
    return ""


def _unzipped(data: bytes, source: str) -> bytes:
    """Unpack gzip; the room for the content is checked while it grows."""
    parts, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while part := file.read(_CHUNK):
                parts.append(part)
                size += len(part)
                check_room(2 * size, f"{source}: unpacking it")
    except (OSError, EOFError, zlib.error) as error:
        if data[:2] != _GZIP:
            raise InputError(f"{source}: is not gzip, as its name says; rename it, or pack it with gzip") from error
        raise InputError(f"{source}: not a whole gzip file ({reason(error)}); copy or pack it again") from error
    return b"".join(parts)


def _npz(path: Path, target: str | None) -> pd.DataFrame:
    import pandas as pd

    try:
        data = unpack(path)
    except NotAnArchive as error:
        raise InputError(f"{path}: not an NPZ file of plain arrays ({error}); save it again with np.savez") from error
    key = next((name for name in ("x", "X") if name in data), None)
    if key == "x" and "X" in data:
        raise InputError(f"{path}: has both `x` and `X`; keep the one array that holds the features")
    if key is None:
        raise InputError(f"{path}: no matrix `x` among its arrays ({_listed(data)})")
    x = data[key]
    _check_matrix(path, key, x)
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
    if target is None:
        return frame
    if target not in data:
        raise InputError(f"{path}: no array '{target}' for the target{did_you_mean(target, data)}")
    if target in frame.columns:
        raise InputError(f"{path}: array '{target}' has the name of a column of `{key}`; rename it")
    y = data[target]
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or len(y) != len(x) or y.dtype.kind not in "biufU":
        raise InputError(
            f"{path}: target '{target}' has shape {y.shape} and type {y.dtype}; it needs {len(x)} numbers or words"
        )
    return frame.assign(**{target: y.astype(object) if y.dtype.kind == "U" else y})


def _check_matrix(path: Path, key: str, x: NDArray[Any]) -> None:
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        raise InputError(f"{path}: `{key}` is not a matrix of numbers (shape {x.shape}, {x.dtype})")
    if not x.size:
        raise InputError(f"{path}: holds no data (its matrix is {x.shape[0]} x {x.shape[1]})")
    if x.shape[1] > MAX_COLUMNS:
        raise InputError(f"{path}: `{key}` has {x.shape[1]} columns; at most {MAX_COLUMNS} are allowed")
    check_room(x.size * 8 * COPIES, f"{path}: a matrix of {x.shape[0]} x {x.shape[1]}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name[:80] for name in list(names)[:40])
