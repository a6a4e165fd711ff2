"""Parquet tables, by the optional package pyarrow."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.tables.form import Reading, check_drop
from mlpiht_cli.tables.text import COPIES, MAX_COLUMNS, named

if TYPE_CHECKING:
    import pandas as pd

_INDEX = "__index_level_"
_MARK = b"PAR1"
_DIGITS = 15
"""Digits of a whole number that a float holds without rounding."""


def read_parquet(data: bytes, source: str, reading: Reading) -> pd.DataFrame:
    """Read the wanted columns of a Parquet file: numbers, booleans and text.

    Raises
    ------
    InputError
        pyarrow is not installed, the file is damaged, its values need more memory than is free, or a wanted column
        holds something else.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        pq: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            f"{source}: reading Parquet needs pyarrow; install it with: pip install 'mlpiht[parquet]'"
        ) from error
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if len(schema.names) > MAX_COLUMNS:
            raise InputError(f"{source}: has {len(schema.names)} columns; at most {MAX_COLUMNS} are allowed")
        check_drop(schema.names, source, reading)
        wanted = [name for name in schema.names if _is_wanted(name, reading)]
        check_room(rows * len(wanted) * 8 * COPIES, f"{source}: a table of {rows * len(wanted)} values")
        _check_types(schema, wanted, source)
        words = [name for name in wanted if _is_text(schema.field(name).type)]
        # Text is read as codes into a list of distinct values, which cannot grow when it is unpacked.
        table = pq.ParquetFile(io.BytesIO(data), read_dictionary=words).read(columns=wanted)
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        raise InputError(f"{source}: not a Parquet table ({_fault(data, error)}); write it again") from error
    return _frame(table, wanted, source, reading)


def _fault(data: bytes, error: Exception) -> str:
    """Why data are no Parquet table: a whole one starts and ends with the same mark."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if not data:
        return "it is empty"
    if not data.startswith(_MARK):
        return "it does not start as one"
    return "it is damaged" if len(data) > 2 * len(_MARK) and data.endswith(_MARK) else "it is cut short"


def _is_wanted(name: str, reading: Reading) -> bool:
    known = reading.only is None or name in reading.only or name == reading.target
    return known and name not in reading.drop


def _types() -> Any:
    return importlib.import_module("pyarrow.types")


def _is_text(kind: Any) -> bool:
    types = _types()
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _check_types(schema: Any, wanted: list[str], source: str) -> None:
    types = _types()
    for name in wanted:
        if schema.names.count(name) > 1:
            raise InputError(f"{source}: two columns are called '{name}'; rename or drop one")
        kind = schema.field(name).type
        inner = kind.value_type if types.is_dictionary(kind) else kind
        known = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null, _is_text)
        if not any(fits(inner) for fits in known):
            raise InputError(
                f"{source}: column '{name}' holds {str(kind)[:60]}, which is neither numbers nor text; "
                "turn it into numbers or drop the column"
            )


def _frame(table: Any, wanted: list[str], source: str, reading: Reading) -> pd.DataFrame:
    """Return the table in pandas; distinct texts stay one object each."""
    import pandas as pd

    types = _types()
    columns: dict[str, Any] = {}
    for name in wanted:
        column = table.column(name)
        if types.is_dictionary(column.type) and _is_text(column.type.value_type):
            columns[name] = _texts(column)
        elif types.is_dictionary(column.type):
            columns[name] = column.cast(column.type.value_type).to_pandas()
        else:
            columns[name] = _numbers(column)
    frame = pd.DataFrame(columns, columns=pd.Index(wanted, dtype=object))
    frame.columns = ["" if name.startswith(_INDEX) else name for name in frame.columns]
    return named(frame, source, reading)


def _numbers(column: Any) -> pd.Series[Any]:
    """Values of a column that is no text; whole numbers that a float rounds stay Python's."""
    types, kind = _types(), column.type
    if types.is_null(kind):
        return column.cast("float64").to_pandas()  # type: ignore[no-any-return]
    if types.is_decimal(kind):
        if kind.scale > 0 or kind.precision <= _DIGITS:
            return column.cast("float64").to_pandas()  # type: ignore[no-any-return]
        return column.to_pandas().map(lambda value: None if value is None else int(value))  # type: ignore[no-any-return]
    whole = types.is_integer(kind) and kind.bit_width > 32 and column.null_count
    return column.to_pandas(integer_object_nulls=bool(whole))  # type: ignore[no-any-return]


def _texts(column: Any) -> pd.Series[Any]:
    """Values of a column of codes; None where they are missing."""
    import pandas as pd

    parts = [pd.Series([], dtype=object)]
    for chunk in column.chunks:
        values = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
        parts.append(pd.Series(values[chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)], dtype=object))
    return pd.concat(parts, ignore_index=True)
