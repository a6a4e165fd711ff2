"""Readers of published file formats. They check everything in a file, and execute nothing."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError

CIFAR_SHAPE = (32, 32, 3)  # row, column, channel


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
        The magic number is wrong, or the length does not fit the header.
    """
    header = 4 + 4 * dims
    if len(data) < header or data[:4] != bytes((0, 0, 8, dims)):
        magic = data[:4].hex(" ") or "nothing"
        raise InputError(
            f"{name}: not an IDX file of bytes in {dims} dimension(s): it starts with {magic}, "
            f"not 00 00 08 {dims:02x}; move the file away, then `mlpiht data fetch mnist`"
        )
    shape = struct.unpack(f">{dims}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise InputError(
            f"{name}: the header announces {' x '.join(map(str, shape))} bytes, the file holds {len(data) - header}; "
            "move the file away, then `mlpiht data fetch mnist`"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)


def read_cifar10(data: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Parse a file of CIFAR-10's binary distribution: records of a label and the three colour planes of an image.

    Parameters
    ----------
    data
        Unpacked content.
    name
        File name for messages.

    Returns
    -------
    tuple
        Images ``[N, 32, 32, 3]`` (row, column, channel) and labels ``[N]``, 0 to 9.

    Raises
    ------
    InputError
        The data are no whole number of records, or a label is above 9.
    """
    rows, columns, channels = CIFAR_SHAPE
    record = 1 + rows * columns * channels
    if not data or len(data) % record:
        raise InputError(
            f"{name}: {len(data)} bytes are not one or more records of {record} bytes; "
            "move the file away, then `mlpiht data fetch cifar10`"
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    labels = records[:, 0]
    bad = np.flatnonzero(labels > 9)
    if len(bad):
        raise InputError(
            f"{name}: record {bad[0]} (from 0) has the label {labels[bad[0]]}, labels are 0 to 9; "
            "move the file away, then `mlpiht data fetch cifar10`"
        )
    return records[:, 1:].reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1), labels
