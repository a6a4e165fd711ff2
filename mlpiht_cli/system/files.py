"""Files that are whole or absent, and JSON in one canonical form."""

from __future__ import annotations

import json
import os
import socket
import stat
import uuid
from pathlib import Path

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.memory import check_room

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # json.dumps makes a new one each time


def canonical(value: object) -> str:
    """JSON with sorted keys and without spaces, to be hashed."""
    return _ENCODER.encode(value)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file; readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # the error of a full disk has no name
        raise
    finally:
        temporary.unlink(missing_ok=True)


def read_bytes(path: str) -> bytes:
    """Read a small file, such as a record, in half the time of a file object.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    number = os.open(path, os.O_RDONLY)
    try:
        return os.read(number, os.fstat(number).st_size)
    finally:
        os.close(number)


def regular_size(path: Path) -> int:
    """Size of a file in bytes.

    Raises
    ------
    InputError
        The file cannot be read, or is no regular file: a device or a pipe may never end.
    """
    try:
        facts = path.stat()
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) else "its name holds a zero byte"
        raise InputError(f"{path}: cannot be read ({reason}); check the path") from error
    if not stat.S_ISREG(facts.st_mode):
        kind = "Is a directory" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
        raise InputError(f"{path}: cannot be read ({kind}); check the path")
    return facts.st_size


def file_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises
    ------
    InputError
        The file cannot be read, is no regular file, or is larger than the free memory.
    """
    check_room(2 * regular_size(path), f"{path}: reading it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def check_writable(folder: Path, option: str = "--out DIR") -> None:
    """Check that files can be written to a folder, which is created if it is absent.

    Raises
    ------
    InputError
        The folder is not writable; the message names the ``option`` to change.
    """
    probe = folder / f".probe.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or "the system gives no reason"
        raise InputError(f"cannot write to {folder} ({reason}); choose another place with {option}") from error
