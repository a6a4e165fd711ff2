"""Implicit representations of one image: pixels as a function of their coordinates (P1, section 4)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import file_bytes
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks._fourier import fourier_features
from mlpiht_cli.tasks._pictures import Levels, Picture, read_image
from mlpiht_cli.tasks._readers import CIFAR_SHAPE
from mlpiht_cli.tasks.cifar10 import TEST_FILE, airplanes_and_automobiles
from mlpiht_cli.tasks.mnist import mnist_split

FREQUENCIES = 750
CIFAR_IMAGE = 1000  # index from 0 among the airplanes and automobiles of the test file


class _INR(Task):
    """Base of the two tasks: integer pixel coordinates, random Fourier features, targets in [0, 1].

    A sample is one value of the image; the last coordinate runs fastest. The metric is the PSNR on the training set, so
    it measures the fit.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"seed"})
    # The reference code uses float64 here, which costs little, since the data are small.
    hints: ClassVar[Mapping[str, object]] = {"dtype": "float64"}
    pictured: ClassVar[Literal["image", "weights"] | None] = "image"
    shape: ClassVar[tuple[int, ...]]
    """Rows, columns and, for colour, channels."""
    files: ClassVar[Sequence[datasets.DataFile]]
    """Files of the published image."""

    image: str | None = Field(None, description="PNG or JPEG file of the data set's image size, in place of its image")

    @abstractmethod
    def _published(self) -> tuple[NDArray[np.uint8], Mapping[str, object]]:
        """Return the paper's image, of shape :attr:`shape`, and notes on its files."""

    @abstractmethod
    def _frequencies(self, generator: np.random.RandomState) -> NDArray[np.float64]:
        """Draw the frequencies in cycles per pixel or channel, one column per coordinate, ``[FREQUENCIES, c]``."""

    @cached_property
    def _own(self) -> Picture | None:
        rows, columns, *colour = self.shape
        if self.image is None:
            return None
        own = read_image(Path(self.image), (rows, columns), colour[0] if colour else 1)
        if own.levels.min() == own.levels.max():
            raise InputError(f"{self.image}: all pixels are equal, so there is nothing to learn")
        return own

    @cached_property
    def _picture(self) -> tuple[Levels, Mapping[str, object]]:
        return self._published() if self._own is None else (self._own.levels, {"sha256": self.content()["sha256"]})

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(math.prod(self.shape), 2 * FREQUENCIES, 1)

    def check_data(self) -> None:
        """Read the image; the data set is downloaded if it is needed and missing."""
        _ = self._picture

    def content(self) -> dict[str, object]:
        """Checksum of the picture instead of its path, or checksums of unofficial files of the data set."""
        if self.image is None or self._own is None:
            return datasets.unofficial(self.files)
        # Rows of earlier versions were made with such a picture as it is stored, on its side.
        turned = {"orientation": self._own.orientation} if self._own.orientation > 1 else {}
        return {"image": None, "sha256": datasets.sha256(file_bytes(Path(self.image))), **turned}

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Map the coordinates with the seed's frequencies; all seeds have the same image."""
        pixels, notes = self._picture
        coordinates = np.indices(self.shape).reshape(len(self.shape), -1).T.astype(np.float64)
        x = torch.from_numpy(fourier_features(coordinates, self._frequencies(streams.fourier())))
        y = torch.from_numpy((pixels / 255.0).astype(np.float32).reshape(-1, 1))
        return Problem(x, y, x, y, "psnr", peak=1.0, notes=notes, image=self.shape)


class INRMNIST(_INR):
    """A digit of 28 x 28 pixels as a function of row and column."""

    shape: ClassVar[tuple[int, ...]] = (28, 28)
    files: ClassVar[Sequence[datasets.DataFile]] = datasets.FILES["mnist"]

    def _published(self) -> tuple[NDArray[np.uint8], Mapping[str, object]]:
        # Index 1000 of the test set of all digits: the test images of digit 0 are the thousand before it.
        split = mnist_split((1,))
        return split.x_test[0].reshape(self.shape).astype(np.uint8), split.notes

    def _frequencies(self, generator: np.random.RandomState) -> NDArray[np.float64]:
        return 2.0 * generator.normal(size=(FREQUENCIES, 2))


class INRCIFAR10(_INR):
    """An airplane of 32 x 32 pixels as a function of row, column and channel."""

    shape: ClassVar[tuple[int, ...]] = CIFAR_SHAPE
    version: ClassVar[int] = 2
    files: ClassVar[Sequence[datasets.DataFile]] = (TEST_FILE,)

    def _published(self) -> tuple[NDArray[np.uint8], Mapping[str, object]]:
        images, _, notes = airplanes_and_automobiles([TEST_FILE])
        return images[CIFAR_IMAGE], notes

    def _frequencies(self, generator: np.random.RandomState) -> NDArray[np.float64]:
        # As in the reference code: rows and columns are drawn before channels, and the numbers are stored in float32.
        space = 5.0 * generator.normal(size=(FREQUENCIES, 2))
        channel = 0.05 * generator.normal(size=(FREQUENCIES, 1))
        return np.hstack([space, channel]).astype(np.float32).astype(np.float64)
