"""MNIST tasks from the official IDX files, with the split of the paper's reference code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks._pixels import pixel_ball
from mlpiht_cli.tasks._readers import read_idx

TRAIN_PER_DIGIT = 5000
TEST_PER_DIGIT = 1000
TRAIN_IMAGES, PIXELS = 60_000, 28 * 28
"""Size of the official training set."""
IMAGES_FILE = datasets.FILES["mnist"][0]
"""File of the training images."""
_ROWS = 4096
"""Images whose pixels are squared at a time."""


@dataclass(frozen=True)
class Split:
    """Images ``[n, 784]`` as raw pixels 0..255 in float32, labels ``[n]``, for training and test."""

    x: NDArray[np.float32]
    labels: NDArray[np.uint8]
    x_test: NDArray[np.float32]
    labels_test: NDArray[np.uint8]
    notes: Mapping[str, object]


def mnist_split(digits: Sequence[int]) -> Split:
    """Read MNIST and split it as the reference code does (protocol, section 3).

    This is not the official split. The images of a digit are those of the official training set, then those of the
    official test set; the first 5000 are for training and the next 1000 for the test.

    Raises
    ------
    InputError
        Files are missing or damaged, or a digit has fewer than 6000 images.
    """
    images, labels, notes = _read_all()
    train, test = [], []
    for digit in digits:
        rows = np.flatnonzero(labels == digit)
        if len(rows) < TRAIN_PER_DIGIT + TEST_PER_DIGIT:
            raise InputError(
                f"MNIST: {len(rows)} images of digit {digit}, but the split needs {TRAIN_PER_DIGIT + TEST_PER_DIGIT}; "
                "see `mlpiht data verify mnist`"
            )
        train.append(rows[:TRAIN_PER_DIGIT])
        test.append(rows[TRAIN_PER_DIGIT : TRAIN_PER_DIGIT + TEST_PER_DIGIT])
    a, b = np.concatenate(train), np.concatenate(test)
    return Split(images[a].astype(np.float32), labels[a], images[b].astype(np.float32), labels[b], notes)


def training_images() -> NDArray[np.uint8]:
    """Images of the official training set in the order of the file, ``[60000, 784]`` of levels 0..255.

    Raises
    ------
    InputError
        The file is missing or damaged, or its images have another size.
    """
    data, _ = datasets.load(IMAGES_FILE)
    images = read_idx(data, IMAGES_FILE.name, 3)
    if images.shape[1:] != (28, 28):
        raise InputError(f"MNIST: images of shape {images.shape[1:]}, not (28, 28); see `mlpiht data verify mnist`")
    return images.reshape(len(images), PIXELS)


def _read_all() -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, object]]:
    """All 70,000 images ``[N, 784]`` and labels ``[N]``: training files first, then test files."""
    notes: dict[str, object] = {}
    arrays = []
    for file in datasets.FILES["mnist"]:
        data, unofficial = datasets.load(file)
        notes |= unofficial
        arrays.append(read_idx(data, file.name, 3 if "images" in file.name else 1))
    for images, labels in ((arrays[0], arrays[1]), (arrays[2], arrays[3])):
        if images.shape != (len(labels), 28, 28):
            raise InputError(
                f"MNIST: {len(labels)} labels do not fit images of shape {images.shape}; see `mlpiht data verify mnist`"
            )
    images = np.concatenate([arrays[0], arrays[2]]).reshape(-1, 784)
    return images, np.concatenate([arrays[1], arrays[3]]), notes


def _standardise(split: Split) -> tuple[float, float]:
    """Standardise both sets in their memory, and return mean and standard deviation of the training pixels.

    Sums of levels and of their squares are exact in float64, so that every machine has the same numbers.
    """
    total, squares = split.x.sum(dtype=np.float64), 0.0
    for start in range(0, len(split.x), _ROWS):
        squares += float(np.square(split.x[start : start + _ROWS]).sum(dtype=np.float64))
    mean = float(total) / split.x.size
    variance = squares / split.x.size - mean**2
    if not variance > 0.0:
        raise InputError("MNIST: all pixels are the same; see `mlpiht data verify mnist`")
    std = float(np.sqrt(variance))
    for x in (split.x, split.x_test):
        x -= np.float32(mean)
        x /= np.float32(std)
    return mean, std


class _Digits(Task):
    """Base of the MNIST tasks: some digits, test accuracy."""

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset()
    later: ClassVar[frozenset[str]] = frozenset({"pixels"})
    digits: ClassVar[Sequence[int]]
    loss: ClassVar[Loss]
    outputs: ClassVar[int]

    pixels: Literal["raw", "standardised"] = Field(
        "raw",
        description="raw: levels 0 to 255, as in the paper; standardised: minus the mean, over the standard deviation, "
        "one of each over all pixels of the training images",
    )

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(len(self.digits) * TRAIN_PER_DIGIT, 784, self.outputs)

    def check_data(self) -> None:
        """Read the files once; missing ones are downloaded."""
        mnist_split(self.digits)

    def content(self) -> dict[str, object]:
        """Checksums of the local files that are not the official ones: such data make other cells."""
        return datasets.unofficial(datasets.FILES["mnist"])

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Read and split the files; every cell has the same data."""
        split = mnist_split(self.digits)
        mean, std = (0.0, 1.0) if self.pixels == "raw" else _standardise(split)
        return Problem(
            torch.from_numpy(split.x),
            self._targets(split.labels),
            torch.from_numpy(split.x_test),
            self._targets(split.labels_test),
            "accuracy",
            self.loss,
            notes=split.notes,
            ball=pixel_ball([mean], [std]),
        )

    def _targets(self, labels: NDArray[np.uint8]) -> torch.Tensor:
        """Targets ``[n, k]``: the label itself for one output, one-hot for several."""
        wide = labels[:, None] if self.outputs == 1 else np.eye(self.outputs)[labels]
        return torch.from_numpy(wide.astype(np.float32))


class MNISTBinary(_Digits):
    """Digits 0 and 1 with targets 0 and 1, squared loss; test accuracy at threshold 0.5."""

    hints: ClassVar[Mapping[str, object]] = {"batch": 1000}
    digits: ClassVar[Sequence[int]] = (0, 1)
    loss: ClassVar[Loss] = "squared"
    outputs: ClassVar[int] = 1


class MNIST(_Digits):
    """Ten digits with one-hot targets, cross-entropy; test accuracy of the largest output."""

    hints: ClassVar[Mapping[str, object]] = {"batch": 5000}
    digits: ClassVar[Sequence[int]] = range(10)
    loss: ClassVar[Loss] = "cross_entropy"
    outputs: ClassVar[int] = 10
