"""The contract of tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import canonical

Axis = Literal["m", "s", "depth", "seed"]


@dataclass(frozen=True)
class Axes:
    """The axes of a cell that a task may depend on: hidden width, budget, hidden layers."""

    m: int
    s: int
    depth: int = 1


@dataclass(frozen=True)
class Dims:
    """Size of a data set: training samples, features, outputs."""

    n: int
    d: int
    k: int


class Task(Settings, ABC):
    """Something to be learned: its fields are its settings, and the instance never changes.

    A task knows no method.
    """

    version: ClassVar[int]
    """Raised by hand when the data change; part of every cell's key."""
    depends_on: ClassVar[frozenset[Axis]]
    """Axes that change the data: cells that agree in them share one problem."""
    pictured: ClassVar[Literal["image", "weights", "layer"] | None] = None
    """What pictures of it show: an image, planted weights of one hidden layer, or the weights of a linear one."""
    weight_names: ClassVar[tuple[Sequence[str], Sequence[str]]] = ((), ())
    """Names of the outputs and of the inputs, for pictures of a linear layer."""

    clip_budget: bool = Field(
        False,
        description="allow a budget s above the number of weights, which then keeps all; the paper's grids have such",
    )

    @property
    def hints(self) -> Mapping[str, object]:
        """Defaults that suit the task for settings a method may have."""
        return {}

    @abstractmethod
    def dims(self) -> Dims:
        """Size of the data, known without reading them where possible."""

    def budget_fault(self, axes: Axes) -> str | None:
        """Say why the data cannot be made with this budget, or None."""
        return None

    def picture_fault(self, depth: int, budgets: int) -> str | None:
        """Say why networks with these hidden layers and this number of budgets are no picture, or None."""
        if self.pictured is None:
            return "the task has neither an image nor planted weights of one layer"
        if self.pictured == "weights" and (depth > 1 or self.dims().k > 1):
            return "planted weights are shown with depth 1 and one output (k = 1) alone"
        if "s" in self.depends_on and budgets > 1:
            return "the task's data depend on s: give one budget, and a picture for each"
        return None

    def check_data(self) -> None:
        """Make sure that the data are at hand, before anything runs.

        Raises
        ------
        InputError
            The data are missing or unusable; the message says what to do.
        """

    @cached_property
    def identity(self) -> dict[str, object]:
        """What the data are, for the cell's key: the fields that change them, and checksums of files read."""
        kept = {name: value for name, value in self.recorded().items() if name != "clip_budget"}
        return {**kept, **self.content()}

    @cached_property
    def fingerprint(self) -> str:
        """The identity as JSON."""
        return canonical(self.identity)

    def content(self) -> dict[str, object]:
        """Checksums of what is read from files, as far as the settings do not fix it."""
        return {}

    @abstractmethod
    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Make or read the data.

        Raises
        ------
        InputError
            The data are missing or unusable.
        CellSkipped
            The protocol leaves this cell out; the message says why.
        """
