"""CIFAR-10, airplanes against automobiles, from the files of the binary distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks._pixels import pixel_ball
from mlpiht_cli.tasks._readers import read_cifar10

AIRPLANE, AUTOMOBILE = 0, 1
# Airplanes and automobiles in each official file, so that the size of the data is known before they are read.
COUNTS = {
    "data_batch_1.bin": 1979,
    "data_batch_2.bin": 1991,
    "data_batch_3.bin": 2036,
    "data_batch_4.bin": 1966,
    "data_batch_5.bin": 2028,
    "test_batch.bin": 2000,
}
*TRAIN_FILES, TEST_FILE = datasets.FILES["cifar10"]


def airplanes_and_automobiles(
    files: Sequence[datasets.DataFile],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, str]]:
    """Images ``[N, 32, 32, 3]`` and labels ``[N]`` (0 airplane, 1 automobile) in the files' order, and notes on files.

    Raises
    ------
    InputError
        A file is missing or damaged, or the number of its images differs from the official file.
    """
    images, labels = [], []
    notes: dict[str, str] = {}
    for file in files:
        data, unofficial = datasets.load(file)
        every_image, every_label = read_cifar10(data, file.name)
        rows = np.flatnonzero((every_label == AIRPLANE) | (every_label == AUTOMOBILE))
        if len(rows) != COUNTS[file.name]:
            raise InputError(
                f"{file.name}: {len(rows)} airplanes and automobiles, but the official file has {COUNTS[file.name]}; "
                "see `mlpiht data verify cifar10`"
            )
        images.append(every_image[rows])
        labels.append(every_label[rows])
        notes |= unofficial
    return np.concatenate(images), np.concatenate(labels), notes


class CIFAR10Binary(Task):
    """Airplanes (target 0) and automobiles (target 1), squared loss; test accuracy at threshold 0.5.

    Pixels are standardised per channel with mean and standard deviation of the training images that are used, and
    flattened in the order row, column, channel.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset()
    hints: ClassVar[Mapping[str, object]] = {"batch": 1000}

    train_files: int = Field(5, ge=1, le=5, description="how many of the five training files are read, from the first")

    def _train(self) -> list[datasets.DataFile]:
        return TRAIN_FILES[: self.train_files]

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(sum(COUNTS[file.name] for file in self._train()), 32 * 32 * 3, 1)

    def check_data(self) -> None:
        """Read the files once; missing ones are downloaded."""
        airplanes_and_automobiles([*self._train(), TEST_FILE])

    def content(self) -> dict[str, object]:
        """Checksums of the local files that are not the official ones: such data make other cells."""
        return datasets.unofficial([*self._train(), TEST_FILE])

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Read and standardise the files; every cell has the same data."""
        images, labels, notes = airplanes_and_automobiles(self._train())
        test_images, test_labels, test_notes = airplanes_and_automobiles([TEST_FILE])
        mean, std = _channel_moments(images)
        return Problem(
            _standardised(images, mean, std),
            _targets(labels),
            _standardised(test_images, mean, std),
            _targets(test_labels),
            "accuracy",
            notes={**notes, **test_notes},
            ball=pixel_ball(*(np.tile(moment, images[0, ..., 0].size).tolist() for moment in (mean, std))),
        )


def _channel_moments(images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel over all pixels, float64 ``[3]``."""
    channels = [images[..., c] for c in range(images.shape[-1])]  # one at a time, since float64 copies are large
    mean, std = (np.array([moment(channel) for channel in channels]) for moment in (np.mean, np.std))
    if not std.all():
        raise InputError("CIFAR-10: a colour channel is the same everywhere; see `mlpiht data verify cifar10`")
    return mean, std


def _standardised(images: NDArray[np.uint8], mean: NDArray[np.float64], std: NDArray[np.float64]) -> torch.Tensor:
    scaled = (images - mean.astype(np.float32)) / std.astype(np.float32)
    return torch.from_numpy(scaled.reshape(len(images), -1))


def _targets(labels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(labels.astype(np.float32))[:, None]
