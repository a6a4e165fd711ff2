"""Reader of PNG and JPEG pictures: the values that a viewer shows, or a refusal."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.files import file_bytes

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

Levels = NDArray[np.uint8] | NDArray[np.float64]

TURNS: Mapping[object, Callable[[Levels], Levels]] = {
    2: lambda levels: levels[:, ::-1],
    3: lambda levels: levels[::-1, ::-1],
    4: lambda levels: levels[::-1],
    5: lambda levels: levels.swapaxes(0, 1),
    6: lambda levels: levels[::-1].swapaxes(0, 1),
    7: lambda levels: levels[::-1, ::-1].swapaxes(0, 1),
    8: lambda levels: levels.swapaxes(0, 1)[::-1],
}
"""What turns the stored rows and columns of each EXIF orientation upright; the others are upright as they are."""
ORIENTATION = 0x0112  # EXIF's number of the tag
SRGB_GAMMA = 1 / 2.2  # how PNG writes the exponent of sRGB
SRGB_POINTS = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
SRGB_CODE = bytes((1, 13, 0, 1))  # of PNG's chunk cICP
SAME_COLOUR = 3
"""Most steps of 255 that a colour profile may move a value by, as the rounding of sRGB profiles does."""


class Picture(NamedTuple):
    """A picture that was read."""

    levels: Levels
    """Values from 0 to 255, ``[rows, columns]`` or ``[rows, columns, 3]``: bytes, or floats if the file has 16 bits."""
    orientation: int
    """EXIF orientation that was undone; 1 if the file has its rows and columns upright."""


class _UnusableError(Exception):
    """The picture is no such picture as the task needs; the message says what to do."""


def read_image(path: Path, size: tuple[int, int], channels: int) -> Picture:
    """Read a PNG or JPEG picture of a given size, upright as EXIF says; it is neither scaled nor rounded.

    Grey of 1 to 16 bits, palettes and opaque alpha channels have exact values from 0 to 255, and are read; so is a
    colour picture whose colours are all grey, as grey, and a grey one, as colour.

    Parameters
    ----------
    path
        The file.
    size
        Rows and columns.
    channels
        1 for greyscale, 3 for RGB.

    Raises
    ------
    InputError
        The file is missing or damaged, of another size, animated or transparent, or its numbers are not the colours
        that it shows.
    """
    from PIL import Image

    content = file_bytes(path)
    try:
        with warnings.catch_warnings():
            # Opening reads only the header; a large picture is refused before its pixels are unpacked.
            warnings.simplefilter("ignore")
            return _upright(content, size, channels)
    except _UnusableError as fault:
        raise InputError(f"{path}: {fault}") from fault
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{path}: not a whole PNG or JPEG picture; check the file, or save it again as PNG") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: its header announces more pixels than a picture can have; check the file") from error


def _upright(content: bytes, size: tuple[int, int], channels: int) -> Picture:
    from PIL import Image

    picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    deep = picture.format == "PNG" and _bits(content) == 16
    if sorted((picture.height, picture.width)) != sorted(size):
        raise _UnusableError(_wrong_size(picture.height, picture.width, size))
    if deep and not picture.mode.startswith("I"):
        raise _UnusableError("16 bits a channel are read in grey without alpha; save it so, or with 8 bits a channel")
    if picture.format == "PNG" and getattr(picture, "n_frames", 1) > 1:
        raise _UnusableError("the picture is animated; save the frame that is meant as a picture of its own")
    picture.load()
    orientation = _orientation(picture)
    levels = np.asarray(picture) / 257.0 if deep else _bytes(picture)
    if "transparency" in picture.info and picture.mode != "P":
        raise _UnusableError("one of the picture's colours counts as transparent; save it without transparency")
    _check_colours(picture.info, levels, content)
    upright = TURNS[orientation](levels) if orientation > 1 else levels
    rows, columns = upright.shape[:2]
    if (rows, columns) != size:
        raise _UnusableError(_wrong_size(rows, columns, size))
    return Picture(_in_channels(upright, channels), orientation)


def _bits(png: bytes) -> int:
    """Bits a channel."""
    if png[12:16] != b"IHDR":
        raise ValueError("the header is not the first chunk")
    return png[24]


def _wrong_size(rows: int, columns: int, size: tuple[int, int]) -> str:
    return (
        f"the picture is {columns} x {rows} pixels (width x height), but the task needs {size[1]} x {size[0]}; "
        "crop it to that shape, and scale it"
    )


def _transparent() -> _UnusableError:
    return _UnusableError("the picture is transparent in places; paint it on a background, and save it without alpha")


def _orientation(picture: Opened) -> int:
    """EXIF's number for the side that is up, 1 where it has none or one without a meaning."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # JPEG's reader has tried this when it looked for the resolution, and forgets a block that it fails on.
            Image.Exif().load(picture.info.get("exif") or b"")
            found: Any = picture.getexif().get(ORIENTATION)
    except Exception as error:  # a damaged block ends in errors of many kinds
        raise _UnusableError(
            "its EXIF data are damaged, and may say which side is up; save the picture without them"
        ) from error
    return int(found) if found in TURNS else 1


def _bytes(picture: Opened) -> NDArray[np.uint8]:
    """Values of a picture of at most 8 bits a channel, ``[rows, columns]`` or ``[rows, columns, 3]``."""
    if picture.mode == "P":
        if picture.palette is None or 3 * int(np.asarray(picture).max()) >= len(picture.palette.palette):
            raise ValueError("a pixel has a colour that the palette lacks")
        picture = picture.convert("RGBA")
    values = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    if picture.mode in ("LA", "RGBA"):
        if values[..., -1].min() < 255:
            raise _transparent()
        return values[..., 0] if picture.mode == "LA" else values[..., :3]
    if picture.mode not in ("1", "L", "RGB"):
        raise _UnusableError(f"the picture's colours are {picture.mode}; save it as RGB, or in grey")
    return values


def _colour_code(png: bytes) -> bytes:
    """Content of the chunk cICP, which stands before the pixels; empty without one."""
    place = 8
    while place + 8 <= len(png) and (name := png[place + 4 : place + 8]) != b"IDAT":
        size = int.from_bytes(png[place : place + 4], "big")
        if name == b"cICP":
            return png[place + 8 : place + 8 + size]
        place += 12 + size  # the size, the name, the content and its checksum
    return b""


def _check_colours(info: Mapping[Any, Any], levels: Levels, content: bytes) -> None:
    """Refuse a picture whose numbers are shown as other colours than those of sRGB, which pixels without a word are."""
    code = _colour_code(content) if content.startswith(b"\x89PNG") else b""
    if code:
        same = code == SRGB_CODE
    elif "icc_profile" in info:
        same = _is_srgb(info["icc_profile"], levels)
    else:
        gamma, points = info.get("gamma", SRGB_GAMMA), info.get("chromaticity", SRGB_POINTS)
        same = "srgb" in info or bool(abs(gamma - SRGB_GAMMA) < 0.01 and np.allclose(points, SRGB_POINTS, atol=0.01))
    if not same:
        raise _UnusableError(
            "a colour profile or gamma makes the picture's numbers other colours than in sRGB; convert it to sRGB, "
            "or save it without them, to fit the numbers as they are"
        )


def _is_srgb(profile: bytes | None, levels: Levels) -> bool:
    """Whether an ICC profile leaves the picture as it is in sRGB; not so if the profile is damaged."""
    from PIL import Image, ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        stored = Image.fromarray(levels.round().astype(np.uint8))
        if stored.mode == "L" and opened.profile.xcolor_space.strip() == "RGB":
            stored = stored.convert("RGB")
        shown = ImageCms.profileToProfile(stored, opened, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
        return False
    moved = np.asarray(shown).astype(int) - np.asarray(stored.convert("RGB"))
    return bool(np.abs(moved).max() <= SAME_COLOUR)


def _in_channels(levels: Levels, channels: int) -> Levels:
    if levels.ndim == 2:
        return levels if channels == 1 else levels[..., None].repeat(channels, axis=2)
    if channels > 1:
        return levels
    if (levels != levels[..., :1]).any():
        raise _UnusableError("the picture is in colour, but the task needs grey; save it in grey")
    grey: Levels = levels[..., 0]
    return grey
