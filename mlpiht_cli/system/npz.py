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
from mlpiht_cli.system.reasons import reason

MAX_MEMBERS = 10_000
_ENCRYPTED = 0x1
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
        The file is no archive, is damaged, or holds anything but plain arrays.
    InputError
        The file is missing or unreadable, or its arrays are larger than the free memory.
    """
    regular_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise NotAnArchive(f"it has {len(members)} members, and at most {MAX_MEMBERS} are read")
            check_room(sum(member.file_size for member in members), f"{path}: unpacking it")
            names = [member.filename.removesuffix(".npy") for member in members]
            twice = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else ""
            if twice:
                raise NotAnArchive(f"it holds two arrays '{twice[:80]}'")
            return {name: _array(archive, member) for name, member in zip(names, members, strict=True)}
    except NotAnArchive:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); check the file") from error
    except _DAMAGES as error:  # in the directory of the archive
        raise NotAnArchive(_archive_fault(path)) from error


def _archive_fault(path: Path) -> str:
    """Why a file is no archive, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        return "it is empty"
    return "it is cut short or damaged" if start[:2] == b"PK" else "it is no zip archive"


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array, after a check that its header fits its member's size: a false header could ask for any memory."""
    if not member.filename.endswith(".npy") or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotAnArchive(f"member '{member.filename[:80]}' is no array")
    name = member.filename.removesuffix(".npy")[:80]
    if member.flag_bits & _ENCRYPTED:
        raise NotAnArchive(f"array '{name}' is encrypted")
    try:
        return _content(archive, member, name)
    except NotAnArchive:
        raise
    except (*_DAMAGES, OSError) as error:
        raise NotAnArchive(f"array '{name}' is damaged") from error


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers of old versions
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise NotAnArchive(f"array '{name}' has the format {version[0]}.{version[1]}, and 1.0 and 2.0 are read")
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if dtype.hasobject:
                raise NotAnArchive(f"array '{name}' holds pickled objects")
            if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize + file.tell() != member.file_size:
                raise NotAnArchive(f"array '{name}' is not of the size in its header")
        with archive.open(member) as file:
            found = np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    return found.astype(found.dtype.newbyteorder("="), copy=False)  # torch and pandas want the machine's order
