"""What a PNG or JPEG file shows is what is fitted: pixel by pixel against arithmetic, or it is refused in one line."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks._pictures import read_image
from mlpiht_cli.tasks.inr import INRMNIST

RNG = np.random.RandomState(5)
SQUARE = (8, 8)
GREY = RNG.randint(0, 256, SQUARE).astype(np.uint8)
SHADES = np.repeat(GREY[..., None], 3, axis=2)
COLOUR = RNG.randint(0, 256, (*SQUARE, 3)).astype(np.uint8)
DEEP = RNG.randint(0, 65536, SQUARE)
OPAQUE = np.full_like(GREY, 255)
CLEAR = np.where(np.arange(64).reshape(SQUARE) == 40, 254, 255).astype(np.uint8)  # one pixel, and hardly
NUMBERED = np.arange(64).reshape(SQUARE)
PALETTE = COLOUR.reshape(64, 3)
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
ADOBE = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


def chunk(name: str, data: bytes) -> bytes:
    body = name.encode() + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def lines(samples: np.ndarray, depth: int) -> bytes:
    out = b""
    for line in samples.reshape(len(samples), -1):
        bits = "".join(f"{int(value):0{depth}b}" for value in line)
        out += b"\0" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    return out


def png(
    samples: np.ndarray, depth: int, kind: int, before: bytes = b"", after: bytes = b"", woven: bool = False
) -> bytes:
    """A PNG by its standard, of samples ``[rows, columns]`` or ``[rows, columns, channels]``."""
    rows, columns = samples.shape[:2]
    parts = [samples[a::c, b::d] for a, b, c, d in ADAM7] if woven else [samples]
    pixels = zlib.compress(b"".join(lines(part, depth) for part in parts))
    header = chunk("IHDR", struct.pack(">2I5B", columns, rows, depth, kind, 0, 0, woven))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk("IDAT", pixels) + after + chunk("IEND", b"")


def saved(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def number(name: str, value: float) -> bytes:
    return chunk(name, struct.pack(">I", round(value * 100_000)))


def linear() -> bytes:
    """The profile of sRGB's colours with numbers that are amounts of light: its three curves have no point."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for i in range(struct.unpack(">I", data[128:132])[0]):
        name, start, size = struct.unpack(">4s2I", data[132 + 12 * i : 144 + 12 * i])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            data[start : start + size] = (b"curv" + bytes(8)).ljust(size, b"\0")
    return bytes(data)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read(folder: Path, data: bytes, channels: int, size: tuple[int, int] = SQUARE) -> np.ndarray:
    (folder / "p").write_bytes(data)
    return read_image(folder / "p", size, channels).levels


@pytest.mark.parametrize("woven", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_every_depth_has_its_share_of_white(tmp_path: Path, depth: int, woven: bool) -> None:
    samples = RNG.randint(0, 2**depth, SQUARE)
    found = read(tmp_path, png(samples, depth, 0, woven=woven), 1)
    np.testing.assert_allclose(found / 255.0, samples / (2**depth - 1), rtol=1e-15)
    assert found.dtype == (np.float64 if depth == 16 else np.uint8), "bytes stay bytes"


def test_sixteen_bits_are_fitted_to_the_last_bit(tmp_path: Path) -> None:
    samples = RNG.randint(0, 65536, (28, 28))
    (tmp_path / "p.png").write_bytes(png(samples, 16, 0))
    y = INRMNIST(image=str(tmp_path / "p.png")).build(Axes(1, 1), Streams(0)).y[:, 0].numpy()
    np.testing.assert_array_equal(y, (samples.ravel() / 65535).astype(np.float32))


PLTE = chunk("PLTE", PALETTE.tobytes())
READ: dict[str, tuple[bytes, np.ndarray]] = {
    "opaque grey": (png(np.dstack([GREY, OPAQUE]), 8, 4), SHADES),
    "opaque colour": (png(np.dstack([COLOUR, OPAQUE]), 8, 6), COLOUR),
    "grey": (png(GREY, 8, 0), SHADES),
    "deep grey": (png(DEEP, 16, 0), np.repeat(DEEP[..., None], 3, axis=2) / 257),
    "woven": (png(COLOUR, 8, 2, woven=True), COLOUR),
    "palette": (png(NUMBERED, 8, 3, PLTE), COLOUR),
    "palette of 4 bits": (png(NUMBERED % 16, 4, 3, PLTE), PALETTE[NUMBERED % 16]),
    "opaque palette": (png(NUMBERED, 8, 3, PLTE + chunk("tRNS", b"\xff" * 9)), COLOUR),
    "sRGB": (png(COLOUR, 8, 2, chunk("sRGB", b"\0")), COLOUR),
    "gamma of sRGB": (png(COLOUR, 8, 2, number("gAMA", 0.45455)), COLOUR),
    "sRGB before gamma": (png(COLOUR, 8, 2, chunk("sRGB", b"\0") + number("gAMA", 1)), COLOUR),
    "words like a code's name": (png(COLOUR, 8, 2, chunk("tEXt", b"Comment\0cICP and IDAT")), COLOUR),
    "code of sRGB": (png(COLOUR, 8, 2, chunk("cICP", bytes((1, 13, 0, 1)))), COLOUR),
    "profile of sRGB": (saved(Image.fromarray(COLOUR), icc_profile=SRGB), COLOUR),
    "grey with a profile for colour": (saved(Image.fromarray(GREY), icc_profile=SRGB), SHADES),
    "background, shape of a pixel": (
        png(COLOUR, 8, 2, chunk("bKGD", bytes(6)) + chunk("pHYs", struct.pack(">2IB", 1, 2, 0))),
        COLOUR,
    ),
    "orientation without a meaning": (saved(Image.fromarray(COLOUR), exif=exif(9)), COLOUR),
}


@pytest.mark.parametrize("name", READ)
def test_kinds_that_hold_every_value_are_read(tmp_path: Path, name: str) -> None:
    data, expected = READ[name]
    np.testing.assert_allclose(read(tmp_path, data, 3), expected, rtol=1e-15)


def test_colours_that_are_all_grey_are_read_as_grey(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, png(SHADES, 8, 2), 1), GREY)
    np.testing.assert_array_equal(read(tmp_path, png(np.dstack([SHADES, OPAQUE]), 8, 6), 1), GREY)


DAMAGED_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03"
TO_REFUSE: dict[str, tuple[bytes, str]] = {
    "wide": (png(GREY[:, :7], 8, 0), "is 7 x 8 pixels .*, but the task needs 8 x 8; crop it"),
    "colour": (png(COLOUR, 8, 2), "in colour, but the task needs grey"),
    "deep colour": (png(COLOUR, 16, 2), "16 bits a channel are read in grey without alpha; save it so, or with 8 bits"),
    "deep grey with alpha": (png(np.dstack([DEEP, DEEP]), 16, 4), "16 bits a channel are read in grey without alpha"),
    "clear grey": (png(np.dstack([GREY, CLEAR]), 8, 4), "transparent in places; paint it on a background"),
    "clear colour": (png(np.dstack([COLOUR, CLEAR]), 8, 6), "transparent in places"),
    "clear shade": (png(GREY, 8, 0, chunk("tRNS", b"\0\7")), "counts as transparent; save it without"),
    "clear shade of 4 bits": (png(GREY % 16, 4, 0, chunk("tRNS", b"\0\7")), "counts as transparent; save it without"),
    "clear shade of 1 bit": (png(GREY % 2, 1, 0, chunk("tRNS", b"\0\1")), "counts as transparent; save it without"),
    "clear shade of 16 bits": (png(DEEP, 16, 0, chunk("tRNS", b"\0\7")), "counts as transparent; save it without"),
    "clear colour of all": (png(COLOUR, 8, 2, chunk("tRNS", bytes(6))), "counts as transparent; save it without"),
    "clear palette": (png(NUMBERED, 8, 3, PLTE + chunk("tRNS", b"\xff\xff\xfe")), "transparent in places"),
    "palette without the colour": (png(NUMBERED, 8, 3, chunk("PLTE", bytes(189))), "not a whole PNG or JPEG picture"),
    "animated": (
        saved(Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(255 - GREY)], duration=9),
        "is animated; save the frame",
    ),
    "CMYK": (saved(Image.fromarray(np.dstack([COLOUR, GREY]), "CMYK"), "JPEG"), "colours are CMYK; save it as RGB"),
    "linear gamma": (png(GREY, 8, 0, number("gAMA", 1)), "a colour profile or gamma"),
    "other primaries": (png(COLOUR, 8, 2, chunk("cHRM", struct.pack(">8I", *ADOBE))), "a colour profile or gamma"),
    "code of HDR after words": (
        png(COLOUR, 8, 2, chunk("tEXt", b"Comment\0IDAT") + chunk("cICP", bytes((9, 16, 0, 1)))),
        "a colour profile or gamma",
    ),
    "code of HDR": (png(COLOUR, 8, 2, chunk("cICP", bytes((9, 16, 0, 1)))), "a colour profile or gamma"),
    "linear profile": (saved(Image.fromarray(COLOUR), icc_profile=linear()), "a colour profile or gamma"),
    "linear profile of a JPEG": (saved(Image.fromarray(COLOUR), "JPEG", icc_profile=linear()), "a colour profile"),
    "linear profile of 16 bits": (
        png(DEEP, 16, 0, chunk("iCCP", b"a\0\0" + zlib.compress(linear()))),
        "a colour profile or gamma",
    ),
    "damaged profile": (saved(Image.fromarray(COLOUR), icc_profile=SRGB[:200]), "a colour profile or gamma"),
    "profile that cannot be unpacked": (png(GREY, 8, 0, chunk("iCCP", b"a\0\0no")), "a colour profile or gamma"),
    "damaged EXIF": (saved(Image.fromarray(GREY), exif=DAMAGED_EXIF), "its EXIF data are damaged"),
    "EXIF that is none": (saved(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0none at all"), "EXIF data are damaged"),
    "EXIF that warns": (saved(Image.fromarray(GREY), "JPEG", exif=DAMAGED_EXIF), "its EXIF data are damaged"),
    "no rows": (png(GREY, 8, 0).replace(struct.pack(">2I", 8, 8), bytes(8)), "not a whole PNG or JPEG picture"),
    "TIFF": (saved(Image.fromarray(GREY), "TIFF"), "not a whole PNG or JPEG picture; .* save it again as PNG"),
    "WebP": (saved(Image.fromarray(COLOUR), "WEBP"), "not a whole PNG or JPEG picture"),
}


@pytest.mark.parametrize("name", TO_REFUSE)
def test_others_are_refused_in_one_line_without_a_command(tmp_path: Path, name: str) -> None:
    data, message = TO_REFUSE[name]
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, data, 1)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'p'}: ")
    assert "\n" not in said
    assert "python" not in said, "what a conversion does to the values is for the user to see"


def test_a_refusal_is_one_line_of_the_command_too(mlpiht: Callable[..., Any]) -> None:
    Path("p.png").write_bytes(png(RNG.randint(0, 65536, (28, 28, 3)), 16, 2))
    result = mlpiht("fit", "--method", "iht", "--task", "inr_mnist", "--set", "task.image=p.png", "--m", 1, "--s", 1)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: p.png: 16 bits a channel are read in grey without alpha")
    assert result.err.count("\n") == 1


def four(orientation: int) -> np.ndarray:
    """By hand: a stored row of 1, 2 above a row of 3, 4, as the EXIF standard would have it shown."""
    shown = {1: "12 34", 2: "21 43", 3: "43 21", 4: "34 12", 5: "13 24", 6: "31 42", 7: "42 31", 8: "24 13"}
    return np.array([[int(one) for one in row] for row in shown[orientation].split()])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    block, stored = exif(orientation).tobytes(), np.array([[1, 2], [3, 4]], dtype=np.uint8)
    for before, after in ((chunk("eXIf", block[6:]), b""), (b"", chunk("eXIf", block[6:]))):
        np.testing.assert_array_equal(read(tmp_path, png(stored, 8, 0, before, after), 1, (2, 2)), four(orientation))
    tall = COLOUR[:, :5]
    for data in (saved(Image.fromarray(tall), exif=block), saved(Image.fromarray(tall), "JPEG", exif=block)):
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        np.testing.assert_array_equal(read(tmp_path, data, 3, (8, 5) if orientation < 5 else (5, 8)), expected)
        with pytest.raises(InputError, match="pixels"):
            read(tmp_path, data, 3, (5, 8) if orientation < 5 else (8, 5))
    places = read(tmp_path, png(NUMBERED, 8, 0, chunk("eXIf", block[6:])), 1)
    deep = read(tmp_path, png(DEEP, 16, 0, chunk("eXIf", block[6:])), 1)
    np.testing.assert_array_equal(deep, DEEP.ravel()[places] / 257)


def test_a_turned_picture_has_other_cells_than_rows_made_before_it_was_turned(tmp_path: Path) -> None:
    keys = []
    for orientation in (1, 6, 8):
        picture = Image.fromarray(np.eye(28, dtype=np.uint8) * 255)
        picture.save(tmp_path / "p.jpg", exif=exif(orientation))
        keys.append(INRMNIST(image=str(tmp_path / "p.jpg")).identity)
    assert [key.get("orientation") for key in keys] == [None, 6, 8]


def test_the_first_picture_of_a_phone_s_pair_is_the_one_it_shows(tmp_path: Path) -> None:
    pair = saved(Image.fromarray(SHADES), "MPO", save_all=True, append_images=[Image.fromarray(255 - SHADES)])
    assert Image.open(io.BytesIO(pair)).n_frames == 2  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        read(tmp_path, pair, 3), np.asarray(Image.open(io.BytesIO(saved(Image.fromarray(SHADES), "JPEG"))))
    )


@pytest.mark.parametrize("options", [{"form": "PNG"}, {"form": "JPEG"}, {"form": "JPEG", "progressive": True}])
def test_a_picture_that_is_cut_short_is_whole_or_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    data = saved(Image.fromarray(GREY), **options)
    whole, refused = read(tmp_path, data, 1), []
    for end in range(len(data)):
        try:
            np.testing.assert_array_equal(read(tmp_path, data[:end], 1), whole)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) >= len(data) - 20
    assert all("not a whole PNG or JPEG picture" in one for one in refused)
