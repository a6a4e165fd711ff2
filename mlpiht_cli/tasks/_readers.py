"""Readers of published file formats. They take bytes, trust nothing in them and execute nothing."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError


def read_idx(data: bytes, name: str, dims: int) -> NDArray[np.uint8]:
    """Parse an IDX file of unsigned bytes (the MNIST format) with ``dims`` dimensions.

    Parameters
    ----------
    data
        Unpacked content.
    name
        File name for messages.
    dims
        1 for labels, 3 for images.

    Raises
    ------
    InputError
        Wrong magic number, or a length that does not fit the header.
    """
    header = 4 + 4 * dims
    if len(data) < header or data[:4] != bytes((0, 0, 8, dims)):
        magic = data[:4].hex(" ") or "nothing"
        raise InputError(
            f"{name}: not an IDX file of bytes in {dims} dimension(s): it starts with {magic}, "
            f"not 00 00 08 {dims:02x}; delete the file, then `mlpiht data fetch mnist`"
        )
    shape = struct.unpack(f">{dims}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise InputError(
            f"{name}: the header promises {' x '.join(map(str, shape))} bytes, the file holds {len(data) - header}; "
            "delete the file, then `mlpiht data fetch mnist`"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)
