"""NPZ archives of plain arrays, written without dates and read without pickle."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.files import regular_size
from mlpiht_cli.system.memory import check_room

MAX_MEMBERS = 10_000
# Errors that zipfile and numpy raise for damaged archives and array headers.
_DAMAGES = (
    *(ValueError, EOFError, KeyError, TypeError, RuntimeError, SyntaxError, OverflowError, MemoryError),
    *(struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError),
)

Arrays = dict[str, NDArray[Any]]


class NotAnArchive(ValueError):
    """The file cannot be read as an NPZ archive of plain arrays."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Bytes of an archive; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy types the keyword allow_pickle alone
    return buffer.getvalue()


def unpack(path: Path) -> Arrays:
    """Read all arrays of an archive; the sizes in its directory are checked before anything is unpacked.

    Raises
    ------
    NotAnArchive
        The file is missing, unreadable, no archive, or holds anything but plain arrays.
    InputError
        The arrays are larger than the free memory.
    """
    try:
        regular_size(path)
    except InputError as error:
        raise NotAnArchive(str(error).removeprefix(f"{path}: ").partition(";")[0]) from error
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise NotAnArchive(f"{len(members)} members")
            check_room(sum(member.file_size for member in members), f"{path}: unpacking it")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except OSError as error:
        raise NotAnArchive(f"it cannot be read: {error.strerror or error}") from error
    except NotAnArchive:
        raise
    except _DAMAGES as error:
        is_secret = isinstance(error, RuntimeError) and "encrypted" in str(error)
        raise NotAnArchive(
            "it is encrypted" if is_secret else "it is no zip archive, or a header or array in it is damaged"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array, after a check that its header fits its member's size: a false header could ask for any memory."""
    if not member.filename.endswith(".npy") or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotAnArchive(f"member '{member.filename[:80]}' is no array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers of old versions
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise NotAnArchive(f"array format {version[0]}.{version[1]}")
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if dtype.hasobject:
                raise NotAnArchive("it holds pickled objects")
            if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize + file.tell() != member.file_size:
                raise NotAnArchive(f"array '{member.filename[:80]}' is not of the size in its header")
        with archive.open(member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
