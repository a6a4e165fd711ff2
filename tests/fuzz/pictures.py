"""Good pictures to be damaged, and what reads them."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from mlpiht_cli.errors import InputError
from mlpiht_cli.tasks._pictures import read_image

SAID = (
    *("not a whole PNG or JPEG picture", "its header announces", "its EXIF data", "the picture", "one of the picture"),
    *("16 bits a channel", "a colour profile or gamma"),
)
"""How refusals of a picture begin."""


def _pictures() -> dict[str, bytes]:
    """Good pictures of 4 x 4 pixels, whose blocks are of every kind that is read."""
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    colour = np.stack([grey, 9 * grey, 15 * grey], axis=-1)
    upright = Image.Exif()
    upright[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    numbered = Image.fromarray(grey, "P")
    numbered.putpalette(bytes(range(48)))
    made: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "png": (Image.fromarray(grey), "PNG", {}),
        "png 16 bits": (Image.fromarray(grey.astype(np.uint16) * 4000), "PNG", {}),
        "png alpha": (Image.fromarray(np.dstack([colour, np.full_like(grey, 255)])), "PNG", {"exif": upright}),
        "png palette": (numbered, "PNG", {"transparency": b"\xff" * 16}),
        "png profile": (Image.fromarray(colour), "PNG", {"icc_profile": profile}),
        "jpeg exif": (Image.fromarray(colour), "JPEG", {"exif": upright}),
        "jpeg grey": (Image.fromarray(grey), "JPEG", {"progressive": True}),
        "jpeg profile": (Image.fromarray(colour), "JPEG", {"icc_profile": profile}),
    }
    out = {}
    for name, (picture, form, options) in made.items():
        file = io.BytesIO()
        picture.save(file, form, **options)
        out[name] = file.getvalue()
    return out


PICTURES = _pictures()


def read_picture(data: bytes, folder: Path) -> None:
    """Pixels, or a refusal in one line that is ours."""
    (folder / "f").write_bytes(data)
    for channels in (1, 3):
        try:
            levels = read_image(folder / "f", (4, 4), channels).levels
        except InputError as error:
            said = str(error).removeprefix(f"{folder / 'f'}: ")
        else:
            assert levels.min() >= 0
            assert levels.max() <= 255
            assert levels.shape == ((4, 4) if channels == 1 else (4, 4, 3))
            continue
        assert "\n" not in said
        assert said.startswith(SAID), said


def read_sealed(data: bytes, folder: Path) -> None:
    """The same of a PNG whose checksums are made to fit, so that what is damaged is parsed."""
    out, at = data[:8], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        out += data[at:end] + zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    read_picture(out + data[at:], folder)
