"""Planted sparse networks: random inputs, and targets from a random sparse ReLU network (P1, section 4)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.products import factor, inputs, samples_at_a_time
from mlpiht_cli.core.task import Axes, Axis, Dims, Task
from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks._inputs import Inputs, Kind, Pixels, TableRows, stored_fault
from mlpiht_cli.tasks._prepare import PREPARATIONS, Preparation
from mlpiht_cli.tasks.mnist import IMAGES_FILE, training_images

if TYPE_CHECKING:
    from torch import Tensor


class Planted(Task):
    """Recover a sparse network from its own outputs; the metric is the PSNR on the training set.

    The network has ``depth`` hidden layers of width ``m`` and about ``s`` nonzeros, spread evenly over the layers. A
    single output is the sum of the last ReLU layer, with signs if they are mixed (an extension of the paper's task).
    Several outputs are one more layer, which is linear.
    """

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"m", "s", "depth", "seed"})
    later: ClassVar[frozenset[str]] = frozenset({"signs", "noise", "noise_unit", "inputs", "correlation", "prepare"})
    pictured: ClassVar[Literal["image", "weights"] | None] = "weights"

    n: int = Field(50_000, ge=1, description="samples")
    d: int = Field(100, ge=1, description="input features")
    k: int = Field(1, ge=1, description="outputs")
    signs: Literal["positive", "mixed"] = Field(
        "positive", description="output signs of the last hidden layer's neurons: all +1, or +1 or -1 at random"
    )

    noise: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="standard deviation of noise on the training targets alone"
    )
    noise_unit: Literal["absolute", "rms"] = Field(
        "absolute", description="unit of `noise`: that of the targets, or their root mean square without noise"
    )

    inputs: Kind = Field(
        "gaussian",
        description="distribution of the inputs; the paper has Gaussian ones, `mnist` are the d pixels of the "
        "training images that vary most, in [0, 1], and the last two tables of scikit-learn, as they are",
    )
    correlation: float = Field(
        0.6, gt=-1, lt=1, description="correlation of neighbouring features with `inputs: ar`, c^|i - j| of others"
    )

    prepare: Preparation = Field(
        "raw",
        description="what is done to the drawn inputs before they get labels: nothing, mean 0 and deviation 1 for each "
        "feature, or a covariance that is the identity",
    )

    @model_validator(mode="after")
    def _enough_stored(self) -> Planted:
        """Refuse more images, pixels or rows than the stored set of the inputs has."""
        fault = stored_fault(self.inputs, self.n, self.d)
        if fault is not None:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _one_output(self) -> Planted:
        """Refuse mixed signs for several outputs, whose planted weights have signs already."""
        if self.signs == "mixed" and self.k > 1:
            raise ValueError(f"signs: mixed needs one output (k=1), not k={self.k}, whose output weights are planted")
        return self

    def dims(self) -> Dims:
        """Size of the data."""
        return Dims(self.n, self.d, self.k)

    def check_data(self) -> None:
        """Read the images once where they are the inputs; a missing file is downloaded."""
        if self.inputs == "mnist":
            training_images()

    def content(self) -> dict[str, object]:
        """Checksum of the local file of images where they are the inputs and the file is not the official one."""
        return datasets.unofficial([IMAGES_FILE]) if self.inputs == "mnist" else {}

    def _sizes(self, axes: Axes) -> list[int]:
        """Widths from input to output; a single output has no weights, since it is the sum of the last hidden layer."""
        return [self.d, *[axes.m] * axes.depth, *([self.k] if self.k > 1 else [])]

    def budget_fault(self, axes: Axes) -> str | None:
        """Refuse a budget above the number of weights, unless ``clip_budget`` is on."""
        total = sum(a * b for a, b in pairwise(self._sizes(axes)))
        if axes.s <= total or self.clip_budget:
            return None
        return (
            f"s={axes.s} is above the {total} weights of the planted network at m={axes.m}; lower s, raise m, "
            "or set task.clip_budget=true to plant all of them"
        )

    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Draw weights and inputs from NumPy's legacy streams, so that every array is pinned by the seed."""
        weights, signs = self.weights(axes, streams), self.output_signs(axes, streams)
        hidden, output = (weights[:-1], weights[-1]) if self.k > 1 else (weights, signs)
        x = streams.planted_inputs(self.n, self.d, self._drawn(), PREPARATIONS[self.prepare])
        y = _labels(x, hidden, output)
        if not y.any():
            raise CellSkipped("the planted network is zero on every sample, so there is nothing to recover")
        targets = torch.from_numpy(y)
        truth = tuple(SparseMatrix.from_dense(torch.from_numpy(w.T.copy())) for w in weights)
        peak = float(np.abs(y).max())
        readout = None if signs is None else torch.from_numpy(signs[:, 0])
        train = targets if not self.noise else torch.from_numpy(self._noisy(y, streams))
        notes = {f"unofficial_{name}": digest for name, digest in self.content().items()}
        return Problem(x, train, x, targets, "psnr", peak=peak, truth=truth, truth_readout=readout, notes=notes)

    def _drawn(self) -> Inputs | Pixels | TableRows | None:
        """Return the source of the inputs; None for that of the paper."""
        if self.inputs == "gaussian":
            return None
        if self.inputs == "breast_cancer" or self.inputs == "diabetes":
            return TableRows(self.inputs)
        return Pixels() if self.inputs == "mnist" else Inputs(self.inputs, self.correlation)

    def _noisy(self, y: NDArray[np.float32], streams: Streams) -> NDArray[np.float32]:
        """Targets with noise, for training; the score uses the targets without noise, so that it measures recovery."""
        unit = 1.0 if self.noise_unit == "absolute" else math.sqrt(np.square(y, dtype=np.float64).mean())
        return (y + self.noise * unit * streams.noise().standard_normal(y.shape)).astype(np.float32)

    def output_signs(self, axes: Axes, streams: Streams) -> NDArray[np.float32] | None:
        """Planted output signs ``[m, 1]``, float32; None if all are +1."""
        if self.signs == "positive":
            return None
        is_positive = streams.planted_signs().random((axes.m, 1)) < 0.5
        return np.where(is_positive, 1.0, -1.0).astype(np.float32)

    def weights(self, axes: Axes, streams: Streams) -> list[NDArray[np.float32]]:
        """Planted weights, input side first, each an ``(in, out)`` matrix.

        Raises
        ------
        CellSkipped
            The protocol excludes the cell.
        InputError
            The budget is above the number of weights, and ``clip_budget`` is off.
        """
        sizes = self._sizes(axes)
        layers = len(sizes) - 1
        share = axes.s // layers
        fault = self.budget_fault(axes)
        if fault is not None:
            raise InputError(fault)
        if axes.depth > 1 and axes.m**2 < axes.s // axes.depth:
            raise CellSkipped(
                f"m^2 = {axes.m**2} weights between hidden layers cannot hold a share "
                f"s // {axes.depth} = {axes.s // axes.depth} of the budget"
            )
        generator = streams.planted_weights()
        weights = []
        for a, b in pairwise(sizes):
            flat = np.zeros(a * b, dtype=np.float32)
            index = generator.choice(a * b, min(a * b, share), replace=False)
            flat[index] = generator.normal(size=len(index)).astype(np.float32)
            weights.append(flat.reshape(a, b))
        return weights


def _labels(
    x: Tensor, hidden_weights: list[NDArray[np.float32]], output: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Labels ``[n, k]`` of inputs ``[n, d]``, computed in float64 and rounded once, so that no BLAS decides them.

    ``output`` is the linear layer ``[m, k]``; None means a sum. Inputs without weights and dead neurons are left out.
    """
    used = known = np.flatnonzero(hidden_weights[0].any(axis=1))
    parts = []
    for weight in hidden_weights:
        live = np.flatnonzero(weight.any(axis=0))
        parts.append(weight[np.ix_(known, live)])
        known = live
    if output is not None:
        parts.append(output[known])
    factors = [factor(torch.from_numpy(part.T.astype(np.float64))) for part in parts]
    columns, labels = torch.from_numpy(used), np.empty((len(x), 1 if output is None else output.shape[1]), np.float32)
    step = samples_at_a_time([*map(len, parts), len(known)], x.device)
    for start in range(0, len(x), step):
        span = slice(start, start + step)
        hidden = inputs(x, span, columns, factors[0]).double()
        for one in factors[: len(hidden_weights)]:
            hidden = (one @ hidden).relu_()
        out = hidden.sum(0, keepdim=True) if output is None else factors[-1] @ hidden
        labels[span] = out.T.numpy()
    return labels
