"""NPZ archives of plain arrays: written without dates, read without pickle."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class NotAnArchive(ValueError):
    """The file cannot be read as an NPZ archive of plain arrays."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Bytes of an archive; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy types the keyword allow_pickle alone
    return buffer.getvalue()


def unpack(path: Path) -> Arrays:
    """Read all arrays of an archive.

    Raises
    ------
    NotAnArchive
        Missing, unreadable, no archive, or with pickled objects in it.
    """
    try:
        # Opened here, since np.load leaves the file open when it is no archive.
        with path.open("rb") as file:
            data = np.load(file, allow_pickle=False)
            if not isinstance(data, np.lib.npyio.NpzFile):
                raise NotAnArchive("a single array, not an archive")
            with data:
                return {name: data[name] for name in data.files}
    except OSError as error:
        raise NotAnArchive(f"it cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise NotAnArchive(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
