from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mlpiht_cli.core.task import Axes, Dims
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks import cifar10
from mlpiht_cli.tasks._readers import read_cifar10
from mlpiht_cli.tasks.cifar10 import COUNTS, CIFAR10Binary


def packed(labels: list[int], images: np.ndarray) -> bytes:
    """The published layout: label, then the red, the green and the blue plane, each row by row."""
    out = b""
    for label, image in zip(labels, images, strict=True):
        out += bytes([label])
        for channel in range(3):
            out += b"".join(image[row, :, channel].tobytes() for row in range(32))
    return out


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Random images whose channels have different means and spreads."""
    random = np.random.RandomState(seed).uniform(size=(count, 32, 32, 3))
    return (random * [255, 100, 20] + [0, 50, 200]).astype(np.uint8)


LABELS = {"data_batch_1.bin": [1, 7, 0, 0], "data_batch_2.bin": [9, 1, 2, 0], "test_batch.bin": [0, 8, 1]}


@pytest.fixture
def small_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """The first two training files and the test file, with a few images each."""
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(folder.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    images = {}
    for seed, (name, labels) in enumerate(LABELS.items()):
        images[name] = pictures(len(labels), seed)
        (folder / name).write_bytes(packed(labels, images[name]))
        monkeypatch.setitem(cifar10.COUNTS, name, sum(label < 2 for label in labels))
    return images


def test_records_are_read_as_row_column_channel() -> None:
    images = pictures(3)
    found, labels = read_cifar10(packed([3, 0, 9], images), "f")
    np.testing.assert_array_equal(found, images)
    assert labels.tolist() == [3, 0, 9]
    assert found.dtype == labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "f: 0 bytes are not one or more records of 3073"),
        (lambda data: data[:-1], "f: 6145 bytes are not"),
        (lambda data: data + b"x", "f: 6147 bytes are not"),
        (lambda data: data[:3073] + bytes([10]) + data[3074:], r"record 1 \(from 0\) has the label 10"),
    ],
)
def test_damaged_files_are_refused(change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_cifar10(change(packed([0, 1], pictures(2))), "f")


def test_rows_are_in_file_order_and_standardised_by_the_training_rows(small_cifar: dict[str, np.ndarray]) -> None:
    task = CIFAR10Binary(train_files=2)
    problem = task.build(Axes(1, 1), Streams(0))
    assert task.dims() == Dims(5, 3072, 1)
    assert problem.y.tolist() == [[1], [0], [0], [1], [0]]
    assert problem.y_test.tolist() == [[0], [1]]
    assert (problem.loss, problem.metric) == ("squared", "accuracy")
    one, two, test = small_cifar.values()
    train = [one[0], one[2], one[3], two[1], two[3]]
    for channel in range(3):
        values = np.array([float(v) for image in train for v in image[:, :, channel].flatten()])
        mean, std = values.mean(), np.sqrt(((values - values.mean()) ** 2).mean())
        for x, images in ((problem.x, train), (problem.x_test, [test[0], test[2]])):
            for row, image in zip(x.numpy(), images, strict=True):
                expected = (image[:, :, channel].astype(float) - mean) / std
                np.testing.assert_allclose(row.reshape(32, 32, 3)[:, :, channel], expected, atol=1e-5)
        assert problem.ball is not None
        for part, level in ((problem.ball.radius, 2.55 + mean), (problem.ball.low, 0.0), (problem.ball.high, 255.0)):
            np.testing.assert_allclose(part.reshape(32, 32, 3)[:, :, channel], (level - mean) / std, rtol=1e-9)


def test_only_the_files_asked_for_are_read(small_cifar: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPIHT_OFFLINE", "1")
    task = CIFAR10Binary(train_files=1)
    task.check_data()
    assert task.dims().n == 3
    problem = task.build(Axes(1, 1), Streams(0))
    assert problem.y.tolist() == [[1], [0], [0]]
    assert set(problem.notes) == {"unofficial_data_batch_1.bin", "unofficial_test_batch.bin"}
    assert set(task.identity) == {"train_files", "data_batch_1.bin", "test_batch.bin"}
    with pytest.raises(InputError, match=r"data file data_batch_3\.bin was not found"):
        CIFAR10Binary(train_files=3).check_data()


def test_rows_made_from_other_files_are_other_cells(
    small_cifar: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = CIFAR10Binary(train_files=1).identity
    path = tmp_path / "data" / "cifar-10-batches-bin" / "data_batch_1.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    after = CIFAR10Binary(train_files=1).identity
    assert {key for key in before if before[key] != after[key]} == {"data_batch_1.bin"}
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(tmp_path / "nothing"))
    assert CIFAR10Binary().identity == {"train_files": 5}, "the official files need no words"


def test_a_file_with_other_classes_is_refused(
    small_cifar: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cifar10.COUNTS, "test_batch.bin", 3)
    with pytest.raises(InputError, match=r"test_batch\.bin: 2 airplanes and automobiles, but the official file has 3"):
        CIFAR10Binary(train_files=1).check_data()


def test_a_constant_channel_cannot_be_standardised(small_cifar: dict[str, np.ndarray], tmp_path: Path) -> None:
    images = small_cifar["data_batch_1.bin"].copy()
    images[..., 1] = 7
    path = tmp_path / "data" / "cifar-10-batches-bin" / "data_batch_1.bin"
    path.write_bytes(packed(LABELS[path.name], images))
    with pytest.raises(InputError, match="a colour channel is the same everywhere"):
        CIFAR10Binary(train_files=1).build(Axes(1, 1), Streams(0))


@pytest.mark.parametrize("count", [0, 6])
def test_there_are_five_training_files(count: int) -> None:
    with pytest.raises(ValueError, match="train_files"):
        CIFAR10Binary(train_files=count)


def test_the_official_classes_are_balanced() -> None:
    *train, test = COUNTS.values()
    assert (sum(train), test) == (10_000, 2_000)
    assert CIFAR10Binary().dims() == Dims(10_000, 3072, 1)


@pytest.mark.cifar10
def test_real_files_have_the_official_labels(real_cifar10: Path) -> None:
    for name in ("data_batch_1.bin", "test_batch.bin"):
        raw = (real_cifar10 / "cifar-10-batches-bin" / name).read_bytes()
        labels = np.array([raw[i] for i in range(0, len(raw), 3073)])
        assert len(labels) == 10_000
        assert (labels < 2).sum() == COUNTS[name]
    rows = np.flatnonzero(labels < 2)
    assert (rows[1000], labels[rows[1000]]) == (5043, 0), "the picture of the INR task is test image 5043, an airplane"
    problem = CIFAR10Binary(train_files=1).build(Axes(1, 1), Streams(0))
    colours = problem.x.reshape(-1, 3).double()
    torch.testing.assert_close(colours.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(colours.std(0), torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0)
