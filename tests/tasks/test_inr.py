from __future__ import annotations

import math
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks import cifar10
from mlpiht_cli.tasks._pictures import read_image
from mlpiht_cli.tasks.inr import INRCIFAR10, INRMNIST

GREY = np.random.RandomState(0).randint(0, 256, size=(28, 28)).astype(np.uint8)
COLOUR = np.random.RandomState(1).randint(0, 256, size=(32, 32, 3)).astype(np.uint8)
KINDS = {INRMNIST: GREY, INRCIFAR10: COLOUR}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set is at hand."""
    monkeypatch.delenv("MLPIHT_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLPIHT_OFFLINE", "1")
    return tmp_path


def write(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


def build(task: INRMNIST | INRCIFAR10, seed: int = 0) -> Problem:
    return task.build(Axes(1, 1), Streams(seed))


@pytest.mark.parametrize("seed", [0, 3])
def test_a_digit_is_a_function_of_row_and_column(folder: Path, seed: int) -> None:
    problem = build(INRMNIST(image=write(folder / "digit.png", GREY)), seed)
    assert problem.x.shape == (784, 1500)
    frequencies = np.random.RandomState(seed).normal(size=(750, 2)) * 2
    for i in (0, 27, 28, 500, 783):
        row, column = divmod(i, 28)
        assert problem.y[i, 0] == pytest.approx(GREY[row, column] / 255)
        for j, (f, g) in enumerate(frequencies):
            angle = 2 * math.pi * (row * f + column * g)
            assert problem.x[i, j] == pytest.approx(math.sin(angle), abs=1e-6)
            assert problem.x[i, 750 + j] == pytest.approx(math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_colour_picture_is_a_function_of_row_column_and_channel(folder: Path, seed: int) -> None:
    problem = build(INRCIFAR10(image=write(folder / "plane.png", COLOUR)), seed)
    assert problem.x.shape == (3072, 1500)
    generator = np.random.RandomState(seed)
    space, colour = generator.normal(size=(750, 2)), generator.normal(size=750)
    normal = [
        [float(np.float32(f)) for f in (5 * row, 5 * column, 0.05 * channel)]
        for (row, column), channel in zip(space, colour, strict=True)
    ]
    i = 0
    for row in range(32):
        for column in range(32):
            for channel in range(3):
                assert problem.y[i, 0] == pytest.approx(COLOUR[row, column, channel] / 255)
                if i % 611 == 2:
                    for j, (f, g, h) in enumerate(normal):
                        angle = 2 * math.pi * (row * f + column * g + channel * h)
                        assert problem.x[i, j] == pytest.approx(math.sin(angle), abs=1e-6)
                        assert problem.x[i, 750 + j] == pytest.approx(math.cos(angle), abs=1e-6)
                i += 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_measures_fit_and_the_picture_can_be_drawn_again(
    folder: Path, kind: type[INRMNIST | INRCIFAR10]
) -> None:
    problem = build(kind(image=write(folder / "p.png", KINDS[kind])))
    assert problem.x_test is problem.x
    assert problem.y_test is problem.y
    assert (problem.metric, problem.loss, problem.peak) == ("psnr", "squared", 1.0)
    assert problem.x.dtype == problem.y.dtype == torch.float32
    assert problem.recipe is None
    assert problem.image is not None
    np.testing.assert_array_equal((problem.y.numpy() * 255).round().reshape(problem.image), KINDS[kind])


def test_a_picture_is_known_by_its_content_not_its_path(folder: Path) -> None:
    one, two = (INRMNIST(image=write(folder / name, GREY)) for name in ("1.png", "2.png"))
    assert one.identity == two.identity
    write(folder / "2.png", 255 - GREY)
    assert one.identity != INRMNIST(image=str(folder / "2.png")).identity
    assert INRMNIST().identity == {"image": None}, "the official files need no words"


def test_a_jpeg_is_read_too(folder: Path) -> None:
    smooth = (np.indices((32, 32, 3)).sum(axis=0) * 3).astype(np.uint8)
    Image.fromarray(smooth).save(folder / "p.jpg", quality=95)
    found = read_image(folder / "p.jpg", (32, 32), 3).levels
    np.testing.assert_allclose(found, smooth, atol=10)


def test_a_missing_file_and_a_folder_are_refused(folder: Path) -> None:
    for name in ("absent.png", "."):
        with pytest.raises(InputError, match="cannot be read"):
            INRMNIST(image=str(folder / name)).check_data()


@pytest.mark.parametrize("content", [b"", b"no picture", b"GIF89a" + bytes(50), b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_refused(folder: Path, content: bytes) -> None:
    (folder / "p.png").write_bytes(content)
    with pytest.raises(InputError, match="not a whole PNG or JPEG picture"):
        read_image(folder / "p.png", (28, 28), 1)


@pytest.mark.parametrize("other", ["GIF", "BMP", "EPS"])
def test_other_formats_are_refused(folder: Path, other: str) -> None:
    """Above all EPS, which is a program that Pillow would have another program run."""
    Image.fromarray(GREY).save(folder / "p.png", format=other)
    with pytest.raises(InputError, match="not a whole PNG or JPEG picture"):
        read_image(folder / "p.png", (28, 28), 1)


@pytest.mark.parametrize(("side", "message"), [(10_000, "is 10000 x 10000"), (60_000, "more pixels than a picture")])
def test_a_bomb_is_not_unpacked(folder: Path, side: int, message: str) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (folder / "p.png").write_bytes(png)
    with pytest.raises(InputError, match=message):
        read_image(folder / "p.png", (28, 28), 1)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_damaged_pictures_end_in_one_clear_error(folder: Path, ending: str) -> None:
    path = Path(write(folder / f"p.{ending}", GREY))
    content = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    for turn in range(300):
        damaged = bytearray(content[: len(content) - rng.randrange(200) * (turn % 2)])
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(bytes(damaged))
        try:
            assert read_image(path, (28, 28), 1).levels.shape == (28, 28)
        except InputError:
            refused += 1
    assert refused > 100


def test_a_model_of_a_picture_reads_no_table(mlpiht: Callable[..., Any]) -> None:
    write(Path("p.png"), GREY)
    args = ("fit", "--method", "iht", "--task", "inr_mnist", "--set", "task.image=p.png", "--m", 3, "--s", 9)
    assert mlpiht(*args, "--save", "m.npz").code == 0
    Path("t.csv").write_text("a,b\n1,2\n")
    result = mlpiht("predict", "m.npz", "t.csv")
    assert (result.code, result.out) == (2, "")
    assert "m.npz: was not fitted to a table" in result.err


def test_the_colour_picture_is_index_1000_of_the_test_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airplane, automobile, ship, airplane, automobile, ship, ..."""
    labels = np.tile([0, 1, 8], 501)
    pixels = np.random.RandomState(0).randint(0, 256, size=(len(labels), 3, 32, 32))
    records = np.column_stack([labels, pixels.reshape(len(labels), -1)]).astype(np.uint8)
    path = folder / "cifar-10-batches-bin" / "test_batch.bin"
    path.parent.mkdir()
    path.write_bytes(records.tobytes())
    (path.parent / "data_batch_1.bin").write_bytes(b"not read")
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(folder))
    monkeypatch.setitem(cifar10.COUNTS, "test_batch.bin", 1002)
    task = INRCIFAR10()
    problem = build(task)
    # 500 ships stand before the airplane that 1000 airplanes and automobiles stand before.
    expected = pixels[1500].transpose(1, 2, 0) / 255
    np.testing.assert_allclose(problem.y.numpy().reshape(32, 32, 3), expected, rtol=1e-6)
    assert set(problem.notes) == {"unofficial_test_batch.bin"}
    assert set(task.identity) == {"image", "test_batch.bin"}, "the training files do not matter"


@pytest.mark.cifar10
def test_the_real_colour_picture_is_test_image_5043(real_cifar10: Path) -> None:
    raw = (real_cifar10 / "cifar-10-batches-bin" / "test_batch.bin").read_bytes()[5043 * 3073 :][:3073]
    values = build(INRCIFAR10()).y[:, 0].numpy() * 255
    assert raw[0] == 0
    for row, column, channel in ((0, 0, 0), (0, 1, 2), (17, 4, 1), (31, 31, 2)):
        byte = raw[1 + channel * 1024 + row * 32 + column]
        assert values[(row * 32 + column) * 3 + channel] == pytest.approx(byte, abs=1e-3)


@pytest.mark.mnist
def test_the_real_digit_is_the_5001st_one(real_mnist: Path) -> None:
    import gzip

    labels = gzip.decompress((real_mnist / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    images = gzip.decompress((real_mnist / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    number = [i for i, label in enumerate(labels) if label == 1][5000]
    problem = build(INRMNIST())
    assert [round(v * 255) for v in problem.y[:, 0].tolist()] == list(images[784 * number : 784 * (number + 1)])
    assert problem.notes == {}
