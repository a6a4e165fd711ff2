"""Standard input as bytes, read once and kept for whoever asks again."""

from __future__ import annotations

import sys
from typing import IO

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.memory import check_room

_CHUNK = 2**22


class _Standard:
    """Keeps what the last stream held: a stream can be read only once."""

    def __init__(self) -> None:
        self._of: object = None
        self._kept = b""

    def read(self) -> bytes:
        """Content of the stream."""
        stream = sys.stdin
        if self._of is not stream:
            if stream is None or stream.isatty():
                raise InputError("standard input: nothing is piped to it; write `... < FILE`, or name the file")
            self._kept, self._of = _whole(stream.buffer), stream
        return self._kept


def _whole(stream: IO[bytes]) -> bytes:
    parts, size = [], 0
    while part := stream.read(_CHUNK):
        parts.append(part)
        size += len(part)
        check_room(2 * size, "standard input: reading it")
    if not parts:
        raise InputError("standard input: is empty; a sweep's workers have none, so save the table to a file for them")
    return b"".join(parts)


STANDARD_INPUT = _Standard()
"""What this process was given."""
