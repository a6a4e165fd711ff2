"""Readers of published file formats. They check everything in a file, and execute nothing."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.files import file_bytes

CIFAR_SHAPE = (32, 32, 3)  # row, column, channel
MODES = {1: "L", 3: "RGB"}  # Pillow's names for 8-bit pictures, by number of channels


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
            f"not 00 00 08 {dims:02x}; delete the file, then `mlpiht data fetch mnist`"
        )
    shape = struct.unpack(f">{dims}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise InputError(
            f"{name}: the header announces {' x '.join(map(str, shape))} bytes, the file holds {len(data) - header}; "
            "delete the file, then `mlpiht data fetch mnist`"
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
            "delete the file, then `mlpiht data fetch cifar10`"
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    labels = records[:, 0]
    bad = np.flatnonzero(labels > 9)
    if len(bad):
        raise InputError(
            f"{name}: record {bad[0]} (from 0) has the label {labels[bad[0]]}, labels are 0 to 9; "
            "delete the file, then `mlpiht data fetch cifar10`"
        )
    return records[:, 1:].reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1), labels


def read_image(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Read a PNG or JPEG picture of a given size; it is neither scaled nor converted.

    Parameters
    ----------
    path
        The file.
    size
        Rows and columns.
    channels
        1 for greyscale, 3 for RGB, 8 bits each.

    Returns
    -------
    numpy.ndarray
        Pixels 0..255, ``[rows, columns]`` or ``[rows, columns, 3]``.

    Raises
    ------
    InputError
        The file is missing, no such picture, or of another size or kind; the message says how to convert it.
    """
    from PIL import Image

    content = file_bytes(path)
    try:
        with warnings.catch_warnings():
            # Opening reads only the header; a large picture is refused below, before its pixels are unpacked.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
            if (picture.height, picture.width) == size and picture.mode == MODES[channels]:
                picture.load()
                return np.asarray(picture)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{path}: not a whole PNG or JPEG picture; check the file") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: its header announces more pixels than a picture can have; check the file") from error
    wanted, kind = (size[1], size[0]), MODES[channels]
    raise InputError(
        f"{path}: the picture is {picture.width} x {picture.height} in mode {picture.mode}, "
        f"but the task needs {wanted[0]} x {wanted[1]} pixels in mode {kind}; convert it with\n"
        f'  python -c "from PIL import Image; '
        f"Image.open({str(path)!r}).convert('{kind}').resize({wanted}).save('converted.png')\""
    )
