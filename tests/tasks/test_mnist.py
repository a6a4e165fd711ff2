from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from mlpiht_cli.core.task import Axes, Dims
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks import mnist
from mlpiht_cli.tasks._readers import read_idx
from mlpiht_cli.tasks.mnist import MNIST, MNISTBinary, mnist_split


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's files with 100 + 60 images, and a split of 7 + 4 a digit; every image is its running number."""
    labels = np.random.RandomState(0).permutation(np.arange(160) % 10).astype(np.uint8)
    images = np.repeat(np.arange(160, dtype=np.uint8), 784).reshape(160, 28, 28)
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(images[:100]))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels[:100])))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[100:])))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[100:]))
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(folder.parent))
    monkeypatch.setattr(mnist, "TRAIN_PER_DIGIT", 7)
    monkeypatch.setattr(mnist, "TEST_PER_DIGIT", 4)
    return images.reshape(160, 784), labels


def test_the_split_is_the_papers(small_mnist: tuple[np.ndarray, np.ndarray]) -> None:
    """Sorted train set, then sorted test set: per digit the first images train, the next test."""
    images, labels = small_mnist
    split = mnist_split((0, 1))
    for digit in (0, 1):
        own = [i for i in range(100) if labels[i] == digit] + [i for i in range(100, 160) if labels[i] == digit]
        np.testing.assert_array_equal(split.x[split.labels == digit], images[own[:7]])
        np.testing.assert_array_equal(split.x_test[split.labels_test == digit], images[own[7:11]])
    assert split.x.dtype == np.float32
    assert split.x.max() > 1.0, "raw pixels, no scaling"


def test_ten_digits_have_one_hot_targets(small_mnist: tuple[np.ndarray, np.ndarray]) -> None:
    _, labels = small_mnist
    task = MNIST()
    problem = task.build(Axes(1, 1), Streams(0))
    assert (problem.n, problem.d, problem.k) == (70, 784, 10)
    assert task.dims() == Dims(70, 784, 10)
    assert (problem.loss, problem.metric) == ("cross_entropy", "accuracy")
    for x, y, each in ((problem.x, problem.y, 7), (problem.x_test, problem.y_test, 4)):
        numbers = x[:, 0].int().numpy()
        assert len(set(numbers)) == len(x) == 10 * each, "every image is its running number"
        for number, row in zip(numbers, y.tolist(), strict=True):
            assert row == [float(digit == labels[number]) for digit in range(10)]


def test_an_unofficial_file_is_used_and_noted(
    small_mnist: tuple[np.ndarray, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    problem = MNISTBinary().build(Axes(1, 1), Streams(0))
    assert problem.y.flatten().tolist() == [0.0] * 7 + [1.0] * 7
    assert problem.loss == "squared"
    assert (problem.n, problem.d, problem.k) == (14, 784, 1)
    assert len(problem.notes) == 4
    assert all(name.startswith("unofficial_") for name in problem.notes)
    assert "is not the official one" in caplog.text


def test_rows_made_from_other_files_are_other_cells(
    small_mnist: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = MNISTBinary().identity
    (tmp_path / "data" / "mnist" / "train-images-idx3-ubyte").write_bytes(b"changed")
    changed = MNISTBinary().identity
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    assert MNISTBinary().identity == {}, "the official files need no words"
    assert len(other) == len(changed) == 4
    assert other != changed


def test_too_few_images_are_named(small_mnist: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "TRAIN_PER_DIGIT", 70)
    with pytest.raises(InputError, match="images of digit 0"):
        mnist_split((0, 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it starts with nothing"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "it starts with 00 00 0d 01"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abcd", "the header announces 5 bytes, the file holds 4"),
        (b"\x00\x00\x08\x01\xff\xff\xff\xffabcd", "the header announces 4294967295 bytes"),
    ],
)
def test_corrupt_idx_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_idx(data, "labels", 1)


def test_idx_round_trip() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(read_idx(idx(array), "images", 3), array)


@pytest.mark.parametrize("kind", [MNIST, MNISTBinary])
def test_standardised_pixels_have_the_moments_of_the_training_images(
    small_mnist: tuple[np.ndarray, np.ndarray], kind: type[MNIST | MNISTBinary]
) -> None:
    raw, other = (kind(pixels=pixels).build(Axes(1, 1), Streams(0)) for pixels in ("raw", "standardised"))
    levels = raw.x.numpy().astype(np.float64)
    mean, std = levels.mean(), levels.std()
    assert levels.mean(axis=0).tolist() == pytest.approx([mean] * 784), "every image here is one level"
    np.testing.assert_allclose(other.x, (levels - mean) / std, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other.x_test, (raw.x_test.numpy() - mean) / std, rtol=1e-5, atol=1e-6)
    assert abs(float(other.x_test.double().mean())) > 0.1, "the test images lend no moments"
    assert other.y.equal(raw.y)
    for problem, scale, shift in ((raw, 1.0, 0.0), (other, std, mean)):
        assert problem.ball is not None
        assert problem.ball.radius.tolist() == pytest.approx([2.55 / scale]), "one percent of 255 levels"
        assert problem.ball.low.tolist() == pytest.approx([-shift / scale])
        assert problem.ball.high.tolist() == pytest.approx([(255 - shift) / scale])


def test_images_of_one_level_cannot_be_standardised(small_mnist: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    grey = np.full((100, 28, 28), 9, dtype=np.uint8)
    (tmp_path / "data" / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(grey))
    with pytest.raises(InputError, match="all pixels are the same"):
        MNISTBinary(pixels="standardised").build(Axes(1, 1), Streams(0))


def test_raw_pixels_leave_keys_as_they_were_published() -> None:
    assert MNIST().recorded() == {"clip_budget": False} == MNIST(pixels="raw").recorded()
    assert MNIST(pixels="standardised").recorded() == {"clip_budget": False, "pixels": "standardised"}


@pytest.mark.mnist
def test_real_files_are_official_and_split_by_digit(real_mnist: Path) -> None:
    split = mnist_split((0, 1))
    assert split.notes == {}
    assert split.x.shape == (10_000, 784)
    assert split.x_test.shape == (2_000, 784)
    # 5923 zeros are in the official training set: the first test zeros are its images 5000 to 5922.
    assert split.labels_test.tolist() == [0] * 1000 + [1] * 1000
    assert split.x.max() == 255.0


@pytest.mark.mnist
def test_real_pixels_have_the_moments_that_the_field_knows(real_mnist: Path) -> None:
    """0.1307 and 0.3081 of the range over the official training set; our split has as many images of each digit."""
    problem = MNIST(pixels="standardised").build(Axes(1, 1), Streams(0))
    assert problem.ball is not None
    low, high = float(problem.ball.low), float(problem.ball.high)
    assert -low / (high - low) == pytest.approx(0.1307, abs=2e-3)
    assert 1 / (high - low) == pytest.approx(0.3081, abs=2e-3)
    assert float(problem.x.min()) == pytest.approx(low)
    assert float(problem.x.double().mean()) == pytest.approx(0.0, abs=1e-5)
